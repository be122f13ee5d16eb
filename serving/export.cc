#include "serving/export.h"

#include <filesystem>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include "base/write_file.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/step_folder.h"
#include "embeddings/table_set.h"
#include "proto/export.pb.h"
#include "proto/job_text.h"
#include "proto/transform_versions.h"
#include "serving/dense_export.h"
#include "serving/row_export.h"

namespace weir {
namespace {

constexpr char kDenseFile[] = "dense.pt";

constexpr char kReadme[] = R"(# An exported model

- `dense.pt`: the dense net, TorchScript (`torch.jit.load`). It takes `numeric` [samples, its columns] and `pooled`
  [samples, pooled_dim], both float32, and returns logits [samples]; a score is `torch.sigmoid(logits)`.
- `rows-TABLE.parquet`: the rows of a table, `key` (uint64) and `vector` (a list of floats).
- `export.json`: the order of the features in `numeric` and `pooled`, the tables, and the job with every transform.
- `job.textproto`: the same job as text.

To score a sample:
1. Columns that the job makes of others (`columns` in the job, from the top): each by its transform, in the version of
   `transforms` in `export.json`; Weir's docs/lake.md has their rules. Learned numbers and small vocabularies stand in the
   job; larger vocabularies and files that are looked up are not part of the export: `file` says which they have to be. Numeric
   features, in the order of `numeric` (`name[i]` is number i of a vector): a missing value becomes `default_value`; then clip,
   log (sign(x) ln(1+|x|)), (x - mean) / stddev or (x - min) / (max - min), as far as the feature's `numeric` section asks
   for them.
2. Sparse features, in the order of `sparse`: each value becomes a key, XXH3_64(bytes, seed = XXH3_64(hash_space)), where an
   integer is its 8 little-endian bytes and a string its own; with `buckets` the key is taken modulo them; with
   `identity` the integer itself is the key. A missing value is `default_value` if there is one, else there is no key.
   A number with `boundaries` is the count of those at or below it, then hashed as an integer. Of more than `max_values` (or
   `max_length`) values the first ones stay, or the last with `keep: LAST`, in their order. With `group`, `default_value` stands for
   each value that is missing inside a list, and a missing list is an empty one.
3. Look up each key's vector in the feature's table (a key that is not there has the table's `missing_row`
   where there is one, else the initial vector: for a uniform initializer a draw from the table's `seed`, for a constant one
   the constant) and write to the columns [offset, offset + width) of `pooled`, by the feature's `pooling`:
   - SUM: their sum; MEAN: the sum divided by their number; MAX: the largest of each column;
   - WEIGHTED_SUM: the sum of each vector times its value's weight, from `weight_column`. Weights stand as values do: a list
     beside a list, a string to be split beside one, a number beside a number; where a value has no key its weight has no
     part. A `default_value` that stands for a whole list weighs 1, one for a single value 1 if its weight is missing;
   - NONE: the vectors of the first `max_length` keys side by side, then zeros.

   Zeros if there is no key.
4. `torch.sigmoid(torch.jit.load("dense.pt")(numeric, pooled))`.
)";

// "a/b/" -> "a/b".
std::string WithoutTrailingSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

Status CheckVacant(FileSystem* file_system, const std::string& out) {
  if (!file_system->Exists(out)) return Status();
  Result<std::vector<std::string>> names = file_system->List(out);
  if (names.ok() && names->empty()) return Status();
  return AlreadyExists(fmt::format("{}: expected an empty folder or none, found {}", out,
                                   names.ok() ? "a folder that is not empty" : "something else"));
}

Result<std::string> ToJson(const ExportManifest& manifest) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(manifest, &json, options);
  if (!status.ok()) return Internal(fmt::format("export.json: {}", status.ToString()));
  return json;
}

ExportManifest DescribeInputs(const Manifest& manifest, const FeatureSet& features) {
  ExportManifest description;
  description.set_format_version(kExportFormatVersion);
  description.set_step(manifest.step());
  *description.mutable_hash_rule() = manifest.hash_rule();
  description.set_dense_file(kDenseFile);
  for (const NumericFeature& feature : features.numeric) {
    const bool is_vector = manifest.job().features(feature.config).numeric().length() > 0;
    for (int i = 0; i < feature.columns; ++i) {
      description.add_numeric(is_vector ? fmt::format("{}[{}]", feature.name, i) : feature.name);
    }
  }
  for (const SparseFeature& feature : features.sparse) {
    ExportedFeature* entry = description.add_sparse();
    entry->set_feature(feature.name);
    entry->set_table(manifest.job().tables(feature.table).name());
    entry->set_offset(feature.offset);
    entry->set_dim(feature.dim);
    entry->set_pooling(feature.pooling);
    entry->set_width(feature.pooled_dim());
    entry->set_max_length(feature.max_length);
    entry->set_weight_column(manifest.job().features(feature.config).sparse().weight_column());
  }
  description.set_pooled_dim(features.pooled_dim);
  *description.mutable_job() = manifest.job();
  *description.mutable_transforms() = RecordedTransforms(manifest.job());
  return description;
}

// All files of the export, into the existing folder `out`.
Status WriteExport(FileSystem* file_system, const std::string& checkpoint, const std::string& out) {
  WEIR_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(file_system, checkpoint));
  WEIR_ASSIGN_OR_RETURN(const std::vector<DenseTensor> tensors, ReadDense(file_system, checkpoint, manifest));
  WEIR_ASSIGN_OR_RETURN(const FeatureSet features, FeatureSet::FromJob(manifest.job()));
  WEIR_ASSIGN_OR_RETURN(const std::string dense, ExportDense(manifest.job(), features, tensors));
  WEIR_RETURN_IF_ERROR(WriteFile(file_system, JoinPath(out, kDenseFile), dense));
  ExportManifest description = DescribeInputs(manifest, features);
  for (const TableSpec& spec : TableSpecsFromJob(manifest.job())) {
    WEIR_ASSIGN_OR_RETURN(*description.add_tables(), ExportRows(file_system, checkpoint, manifest, spec, out));
  }
  WEIR_ASSIGN_OR_RETURN(const std::string json, ToJson(description));
  WEIR_RETURN_IF_ERROR(WriteFile(file_system, JoinPath(out, "export.json"), json));
  WEIR_RETURN_IF_ERROR(WriteFile(file_system, JoinPath(out, "job.textproto"), JobToText(manifest.job())));
  WEIR_RETURN_IF_ERROR(WriteFile(file_system, JoinPath(out, "README.md"), kReadme));
  return file_system->SyncFolder(out);
}

Status WriteAndRename(FileSystem* file_system, const std::string& checkpoint, const std::string& temporary,
                      const std::string& out) {
  WEIR_RETURN_IF_ERROR(file_system->CreateFolders(temporary));
  WEIR_RETURN_IF_ERROR(WriteExport(file_system, checkpoint, temporary));
  WEIR_RETURN_IF_ERROR(file_system->Rename(temporary, out));
  const std::string parent = std::filesystem::path(out).parent_path();
  return file_system->SyncFolder(parent.empty() ? "." : parent);
}

}  // namespace

Status ExportModel(FileSystem* file_system, const std::string& checkpoint, const std::string& out) {
  WEIR_ASSIGN_OR_RETURN(const std::string folder, ResolveCheckpoint(file_system, checkpoint));
  const std::string target = WithoutTrailingSlash(out);
  if (target.empty()) return InvalidArgument("export: expected a folder to write to, found an empty path");
  WEIR_RETURN_IF_ERROR(CheckVacant(file_system, target));
  WEIR_ASSIGN_OR_RETURN(const std::string uuid, MakeUuid());
  const std::string temporary = target + ".tmp-" + uuid;
  const Status status = WriteAndRename(file_system, folder, temporary, target);
  if (!status.ok()) file_system->RemoveAll(temporary).IgnoreError();  // the first error is the one to tell
  return status.Wrap(fmt::format("exporting {} to {}", folder, target));
}

}  // namespace weir
