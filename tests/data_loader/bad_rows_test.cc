// Rows with values that cannot be used, as they come out of the loader.
#include <set>

#include <fmt/format.h>

#include "data_loader/loader.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/loader_fixture.h"

namespace weir {
namespace {

constexpr int64_t kRows = 500;

// Ids in their order, and the bad rows among them counted. Each id's label is a digit, or 'x' if it is bad.
std::vector<uint64_t> IdsWithout(const std::set<int64_t>& bad, int64_t shuffle_rows, int64_t begin, int64_t* counted) {
  TempFolder folder;
  std::string text = "id,label,x\n";
  for (int64_t id = 0; id < kRows; ++id) text += fmt::format("{},{},{}\n", id, bad.contains(id) ? "x" : "1", id * 0.5);
  folder.Write("rows.csv", text);
  LoaderOptions options = Options(48);
  options.shuffle_rows = shuffle_rows;
  options.decode_rows = 24;
  options.max_bad_rows = 100;
  const Job job = IdJob();
  LoaderPosition start;
  if (begin > 0) {
    auto whole = Loader::Open(job, Source(folder.path()), options, {});
    StepBatch step;
    EXPECT_TRUE((*whole)->Next(&step).value());
    start = (*whole)->PositionAfter(step);
    start.set_samples(begin);
  }
  auto loader = Loader::Open(job, Source(folder.path()), options, start);
  EXPECT_TRUE(loader.ok()) << loader.status().ToString();
  std::vector<uint64_t> ids;
  StepBatch step;
  while ((*loader)->Next(&step).value()) {
    for (int64_t i = 0; i < step.batch.num_samples; ++i) {
      ids.push_back(step.batch.sparse[0].sample(i)[0]);
      EXPECT_EQ(step.batch.numeric[i], static_cast<float>(ids.back()) / 2);
    }
  }
  *counted = 0;
  for (const BadRows& rows : (*loader)->bad_rows()) *counted += rows.rows;
  return ids;
}

TEST(Loader, BadRowsLeaveTheOthersInTheirPlaces) {
  const std::set<int64_t> bad = {0, 7, 8, 100, 101, 250, 333, 498, 499};
  for (const int64_t shuffle_rows : {1, 16, 30, 200}) {
    for (const int64_t begin : {0, 100}) {
      int64_t counted = 0;
      std::vector<uint64_t> expected = IdsWithout({}, shuffle_rows, begin, &counted);
      EXPECT_EQ(counted, 0);
      const int64_t bad_of_these =
          std::erase_if(expected, [&](uint64_t id) { return bad.contains(static_cast<int64_t>(id)); });
      EXPECT_EQ(IdsWithout(bad, shuffle_rows, begin, &counted), expected) << shuffle_rows << " " << begin;
      EXPECT_EQ(counted, bad_of_these);
    }
  }
}

}  // namespace
}  // namespace weir
