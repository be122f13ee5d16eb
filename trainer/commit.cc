#include "trainer/commit.h"

#include <array>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/shared_probe.h"
#include "trainer/agreement.h"
#include "trainer/dense_state.h"

namespace weir {
namespace {

bool Coordinates(const Worker& worker) { return worker.collective->rank() == 0; }

// Rank 0's string, on all workers.
Result<std::string> BroadcastString(Collective& collective, const std::string& mine) {
  std::vector<uint8_t> bytes(mine.begin(), mine.end());
  WEIR_RETURN_IF_ERROR(collective.Broadcast(&bytes));
  return std::string(bytes.begin(), bytes.end());
}

// Where rows are has no influence on them: a disk, and how much memory stands before it, may change. How they travel
// may too, as it may in cluster.wire; and what becomes of bad rows, as it may in data.
Job WithoutPlacesAndPolicies(Job job) {
  for (FeatureConfig& feature : *job.mutable_features()) feature.clear_on_bad_row();
  job.mutable_data()->mutable_label()->clear_on_bad_row();
  for (TableConfig& table : *job.mutable_tables()) {
    table.clear_wire();
    if (!table.has_disk()) continue;
    table.clear_disk();
    table.clear_memory();
  }
  return job;
}

// The order of samples and the meaning of rows and parameters hang on these; a run cannot go on under others.
Status CheckSameJob(const Job& committed_with_places, const Job& now_with_places) {
  const Job committed = WithoutPlacesAndPolicies(committed_with_places),
            now = WithoutPlacesAndPolicies(now_with_places);
  const std::array fields = {"features", "columns", "tables", "model", "optimizers"};
  std::vector<const google::protobuf::FieldDescriptor*> compared;
  for (const char* name : fields) compared.push_back(Job::descriptor()->FindFieldByName(name));
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  // Files that transforms read may lie elsewhere; their digests are compared.
  differencer.IgnoreField(LookupConfig::descriptor()->FindFieldByName("uri"));
  differencer.IgnoreField(VocabularyConfig::descriptor()->FindFieldByName("path"));
  differencer.ReportDifferencesToString(&difference);
  if (!differencer.CompareWithFields(committed, now, compared, compared)) {
    return FailedPrecondition(fmt::format(
        "expected the job of the commit, found another (set it back, or give another output):\n{}", difference));
  }
  auto target = [](const Job& job) {
    return fmt::format("data.label {{ {} }} data.weight_column: \"{}\"", job.data().label().ShortDebugString(),
                       job.data().weight_column());
  };
  if (target(committed) != target(now)) {
    return FailedPrecondition(fmt::format("expected the commit's {}, found {}: set it back, or give another output",
                                          target(committed), target(now)));
  }
  auto ledger = [](const Job& job) {
    return fmt::format("data.ledger {{ {} }}", job.data().ledger().ShortDebugString());
  };
  if (ledger(committed) != ledger(now)) {
    return FailedPrecondition(fmt::format("expected the commit's {}, found {}: set it back, or give another output",
                                          ledger(committed), ledger(now)));
  }
  auto order = [](const Job& job) {
    const SourceConfig& train = job.data().train();
    return fmt::format(
        "train.seed={} data.shuffle={} data.streams={} data.shuffle_rows={} data.train.next_item {{ {} }} "
        "data.train.sampling {{ {} }}",
        job.train().seed(), job.data().shuffle(), job.data().streams(), job.data().shuffle_rows(),
        train.next_item().ShortDebugString(), train.sampling().ShortDebugString());
  };
  if (order(committed) != order(now)) {
    return FailedPrecondition(
        fmt::format("expected the commit's order of samples ({}), found {}: set them back, or give another output",
                    order(committed), order(now)));
  }
  return Status();
}

// Rank 0's part of a resume: the newest commit's path, or "" for none.
Result<std::string> FindCommit(FileSystem* file_system, const std::string& root) {
  WEIR_RETURN_IF_ERROR(RemoveLeftovers(file_system, root));
  return NewestWholeCheckpoint(file_system, root);
}

Status LoadRows(const Worker& worker, const std::string& path, const Manifest& manifest) {
  std::vector<DataFile> files;
  for (const DataFile& file : manifest.files()) {
    if (file.kind() == DataFile::ROWS || file.kind() == DataFile::POLICY) files.push_back(file);
  }
  return worker.store->Load(manifest.step(), path, files);
}

Result<Manifest> LoadCommit(const Worker& worker, FileSystem* file_system, const std::string& path,
                            bool with_optimizer) {
  WEIR_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(file_system, path));
  if (manifest.hash_rule().virtual_shards() != worker.job->cluster().virtual_shards()) {
    return FailedPrecondition(fmt::format("expected cluster.virtual_shards={} as in the checkpoint, found {}",
                                          manifest.hash_rule().virtual_shards(),
                                          worker.job->cluster().virtual_shards()));
  }
  if (with_optimizer) WEIR_RETURN_IF_ERROR(CheckSameJob(manifest.job(), *worker.job));
  WEIR_ASSIGN_OR_RETURN(std::vector<DenseTensor> tensors, ReadDense(file_system, path, manifest));
  WEIR_RETURN_IF_ERROR(RestoreDense(tensors, worker.parameters, with_optimizer ? worker.optimizer : nullptr));
  if (Coordinates(worker)) WEIR_RETURN_IF_ERROR(LoadRows(worker, path, manifest));
  return manifest;
}

Result<Manifest> LoadTogether(const Worker& worker, FileSystem* file_system, const std::string& path,
                              bool with_optimizer) {
  Result<Manifest> manifest = LoadCommit(worker, file_system, path, with_optimizer);
  WEIR_RETURN_IF_ERROR(AgreeOnStatus(*worker.collective, manifest.status().Wrap("loading checkpoint " + path)));
  return manifest;
}

Manifest MakeManifest(const Worker& worker, const LoaderPosition& position, const TrainingState& training) {
  Manifest manifest;
  *manifest.mutable_job() = *worker.job;
  manifest.mutable_hash_rule()->set_version(kHashRuleVersion);
  manifest.mutable_hash_rule()->set_virtual_shards(worker.job->cluster().virtual_shards());
  *manifest.mutable_position() = position;
  *manifest.mutable_training() = training;
  return manifest;
}

void SummariseTables(const Job& job, std::span<const DataFile> files, Manifest* manifest) {
  for (const TableSpec& spec : TableSpecsFromJob(job)) {
    TableSummary* summary = manifest->add_tables();
    summary->set_name(spec.name);
    summary->set_dim(spec.layout.dim);
    // Left out where it is the default, which older readers do not know.
    if (spec.layout.weight_type != TableConfig::FLOAT32) summary->set_weight_type(spec.layout.weight_type);
    uint64_t rows = 0;
    for (const DataFile& file : files) {
      if (file.table() == spec.name) rows += file.rows();
    }
    summary->set_rows(rows);
    for (const StateColumn& column : spec.layout.state) {
      StateSlot* slot = summary->add_state();
      slot->set_name(column.name);
      slot->set_width(column.width);
    }
  }
}

// Rank 0's part of a commit.
Result<std::string> WriteCommit(const Worker& worker, FileSystem* file_system, const std::string& root, int64_t step,
                                Manifest manifest) {
  WEIR_ASSIGN_OR_RETURN(auto writer, CheckpointWriter::Begin(file_system, root, step));
  WEIR_ASSIGN_OR_RETURN(std::vector<DataFile> files, worker.store->Save(step, writer->folder()));
  writer->AddFiles(files);
  SummariseTables(*worker.job, files, &manifest);
  WEIR_RETURN_IF_ERROR(writer->WriteDense(SaveDense(*worker.parameters, *worker.optimizer)));
  WEIR_ASSIGN_OR_RETURN(std::string path, writer->Commit(manifest));
  std::vector<int64_t> also_keep;
  if (manifest.training().has_best()) also_keep.push_back(manifest.training().best().step());
  WEIR_RETURN_IF_ERROR(PruneCheckpoints(file_system, root, worker.job->checkpoint().keep(), also_keep));
  return path;
}

// A folder that each host has for itself would take every host's rows and look committed.
Status CheckShared(const Worker& worker, FileSystem* file_system, const std::string& root) {
  if (worker.collective->size() == 1) return Status();
  Result<std::string> probe = std::string();
  if (Coordinates(worker)) probe = WriteProbe(file_system, root);
  WEIR_RETURN_IF_ERROR(AgreeOnStatus(*worker.collective, probe.status()));
  WEIR_ASSIGN_OR_RETURN(std::string token, BroadcastString(*worker.collective, *probe));
  Status seen = AgreeOnStatus(*worker.collective, CheckProbe(file_system, root, token));
  if (Coordinates(worker)) WEIR_RETURN_IF_ERROR(RemoveProbe(file_system, root, token));
  return seen;
}

}  // namespace

Result<ResumePoint> Resume(const Worker& worker, FileSystem* file_system, const std::string& root) {
  WEIR_RETURN_IF_ERROR(CheckShared(worker, file_system, root));
  Result<std::string> found = std::string();
  if (Coordinates(worker)) found = FindCommit(file_system, root);
  WEIR_RETURN_IF_ERROR(AgreeOnStatus(*worker.collective, found.status()));
  WEIR_ASSIGN_OR_RETURN(std::string path, BroadcastString(*worker.collective, *found));
  if (path.empty()) return ResumePoint();
  WEIR_ASSIGN_OR_RETURN(Manifest manifest, LoadTogether(worker, file_system, path, /*with_optimizer=*/true));
  return ResumePoint{manifest.step(), path, manifest.position(), manifest.training()};
}

Status LoadForEvaluation(const Worker& worker, FileSystem* file_system, const std::string& path) {
  return LoadTogether(worker, file_system, path, /*with_optimizer=*/false).status();
}

Result<std::string> Commit(const Worker& worker, FileSystem* file_system, const std::string& root, int64_t step,
                           const LoaderPosition& position, const TrainingState& training) {
  WEIR_RETURN_IF_ERROR(AgreeOnStatus(*worker.collective, worker.store->Drain(step)));
  Result<std::string> path = std::string();
  if (Coordinates(worker)) {
    path = WriteCommit(worker, file_system, root, step, MakeManifest(worker, position, training));
  }
  Status agreed = AgreeOnStatus(*worker.collective, path.status());
  WEIR_RETURN_IF_ERROR(agreed.Wrap(fmt::format("committing step {}", step)));
  return BroadcastString(*worker.collective, *path);
}

}  // namespace weir
