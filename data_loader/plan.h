// Plan: the order of an epoch's samples, a pure function of (seed, epoch, the files' row groups), whatever the number
// of workers and the batch size.
//
// With shuffling the row groups are permuted and dealt to streams; a stream's rows are permuted block by block as they
// are read. The epoch's sequence takes the streams' rows in turn, one from each stream that still has rows. Without
// shuffling there is one stream, the files' rows in order. A step is the next batch_size samples of the sequence, so
// that a position in it is a plain number of samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weir {

// Rows [begin, end) of a row group.
struct Piece {
  int file = 0;
  int group = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t rows() const { return end - begin; }
};

struct EpochPlan {
  std::vector<std::vector<Piece>> streams;
  std::vector<int64_t> stream_rows;  // one per stream
};

// group_rows[file][group]: rows of each row group.
using GroupRows = std::vector<std::vector<int64_t>>;

// Row groups are dealt whole to the stream with the fewest rows when the longest stream then has at most 5 % more than
// its share; else (few or uneven row groups) the permuted row groups are laid end to end and cut evenly, so that all
// streams end together and no worker trains the epoch's end alone. A cut row group is decoded by each that has a part.
EpochPlan PlanShuffledEpoch(uint64_t seed, int64_t epoch, const GroupRows& group_rows, int streams);

// One stream, in the order of the files.
EpochPlan PlanOrderedEpoch(const GroupRows& group_rows);

// The order of the rows of one block: a permutation of [0, rows).
std::vector<int32_t> PermuteBlock(uint64_t seed, int64_t epoch, int64_t stream, int64_t block, int64_t rows);

// Walks an epoch's sequence sample by sample.
class TurnCursor {
 public:
  // At sample `samples` of the epoch; samples <= the sum of stream_rows. Closed form: no walk.
  TurnCursor(const std::vector<int64_t>& stream_rows, int64_t samples);

  // The stream of the next sample, and a step forward. Must not be called past the end.
  int Next() {
    int stream = alive_[turn_];
    if (++turn_ == alive_.size()) EndRound();
    return stream;
  }
  // Rows of each stream that lie before the start.
  const std::vector<int64_t>& taken_at_start() const { return taken_at_start_; }

 private:
  void EndRound();

  std::vector<int64_t> stream_rows_;
  std::vector<int> alive_;  // streams that have a row in this round, ascending
  size_t turn_ = 0;         // index into alive_
  int64_t round_ = 0;       // rows of each alive stream before this round
  int64_t next_end_ = 0;    // the shortest alive stream: no stream ends before this round
  std::vector<int64_t> taken_at_start_;
};

}  // namespace weir
