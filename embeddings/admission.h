// Admission: which keys without a row get one when they are trained.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "embeddings/key_set.h"
#include "proto/job.pb.h"

namespace weir {

// One per table and owner, asked about keys without a row only. Decisions are made per virtual shard from what that
// shard saw, and do not depend on the order of keys within a step, so the number of owners does not show.
//
// A pull asks WouldAdmit before the step's pushes are there, as if one worker pushed each key. Admit then agrees for
// every key that one worker pushes; where several push a key in one step, its count may reach the threshold although no
// pull saw it coming: the key then starts from its initial row, to which its gradients apply.
//
// Not thread-safe; const methods may run side by side.
class Admission {
 public:
  virtual ~Admission() = default;

  // admitted[i]: whether a push of keys[i] at `step` by one worker would bring its row. Steps never fall.
  virtual void WouldAdmit(int64_t step, std::span<const uint64_t> keys, bool* admitted) const = 0;
  // admitted[i]: whether keys[i], pushed by pushes[i] workers at `step`, gets its row. Counts what it must. Keys are
  // distinct; all of a step come in one call.
  virtual void Admit(int64_t step, std::span<const uint64_t> keys, const uint32_t* pushes, bool* admitted) = 0;

  // Memory that counts towards the table's.
  virtual int64_t bytes() const { return 0; }
  // What a virtual shard remembers, appended; nothing where it remembers nothing.
  virtual void SaveShard(int virtual_shard, std::vector<uint8_t>* bytes) const { (void)virtual_shard, (void)bytes; }
  // The other way round. DataLoss: not such bytes; FailedPrecondition: of a rule that was configured otherwise. The
  // shard then remembers nothing.
  virtual Status LoadShard(int virtual_shard, std::span<const uint8_t> bytes) {
    (void)virtual_shard, (void)bytes;
    return Status();
  }
};

// Null when config names no rule: every key is admitted. allow_list: of a config that names one, and not null then. The
// job's rules hold (proto/table_rules.h).
std::unique_ptr<Admission> MakeAdmission(const AdmissionConfig& config, uint64_t table_seed, int virtual_shards,
                                         std::shared_ptr<const KeySet> allow_list);

// Most bytes over all virtual shards that the rule's memory can grow to.
int64_t FilterBytesMax(const AdmissionConfig& config, int virtual_shards);

}  // namespace weir
