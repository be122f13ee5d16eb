// What tests of the loader share: a job that tells which row a sample was, small steps and blocks.
#pragma once

#include "data_loader/loader.h"
#include "tests/data_loader/lake_fixture.h"

namespace weir {

// id by identity, x as it is: a sample tells which row it was.
inline Job IdJob() {
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  AddSparse(&job, "id")->mutable_sparse()->set_identity(true);
  AddNumeric(&job, "x");
  return job;
}

inline LoaderOptions Options(int64_t batch_size, int64_t epochs = 1) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.epochs = epochs;
  options.streams = 6;
  options.shuffle_rows = 16;
  return options;
}

}  // namespace weir
