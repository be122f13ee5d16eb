// Writes an event file of two curves into a folder: for tensorboard_file_test.py.
#include <cmath>
#include <iostream>

#include <glog/logging.h>

#include "trainer/tensorboard.h"

int main(int argc, char** argv) {
  CHECK_EQ(argc, 3) << "write_events FOLDER POINTS";
  auto writer = weir::EventWriter::Create(weir::LocalFileSystem(), argv[1]);
  CHECK(writer.ok()) << writer.status().ToString();
  weir::EventWriter& events = **writer;
  for (int64_t step = 1; step <= std::stoll(argv[2]); ++step) {
    const double unix_s = 1.7e9 + static_cast<double>(step) / 4;
    for (weir::Status status : {events.AddScalar("train/logloss", step * 10, 1.0 / static_cast<double>(step), unix_s),
                                events.AddScalar("eval/auc", step * 10, -std::sqrt(step), unix_s)}) {
      CHECK(status.ok()) << status.ToString();
    }
  }
  weir::Status status = events.Close();
  CHECK(status.ok()) << status.ToString();
  std::cout << events.path() << "\n";
}
