#include "embeddings/admission.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "base/random.h"

namespace weir {
namespace {

std::vector<uint64_t> Keys(uint64_t begin, uint64_t end) {
  std::vector<uint64_t> keys;
  for (uint64_t key = begin; key < end; ++key) keys.push_back(key);
  return keys;
}

std::vector<bool> WouldAdmit(const Admission& admission, int64_t step, const std::vector<uint64_t>& keys) {
  const auto admitted = std::make_unique<bool[]>(keys.size());
  admission.WouldAdmit(step, keys, admitted.get());
  return std::vector<bool>(admitted.get(), admitted.get() + keys.size());
}

std::vector<bool> Admit(Admission* admission, int64_t step, const std::vector<uint64_t>& keys, uint32_t pushes = 1) {
  const auto admitted = std::make_unique<bool[]>(keys.size());
  admission->Admit(step, keys, std::vector<uint32_t>(keys.size(), pushes).data(), admitted.get());
  return std::vector<bool>(admitted.get(), admitted.get() + keys.size());
}

AdmissionConfig Count(int threshold, int64_t window_steps = 0) {
  AdmissionConfig config;
  config.mutable_count()->set_threshold(threshold);
  config.mutable_count()->set_window_steps(window_steps);
  config.mutable_count()->set_filter_memory("64KiB");
  return config;
}

TEST(Admission, NoRuleIsNone) { EXPECT_EQ(MakeAdmission(AdmissionConfig(), 1, 16, nullptr), nullptr); }

TEST(CountAdmission, AdmitsAtTheThreshold) {
  const auto admission = MakeAdmission(Count(3), 1, 16, nullptr);
  const std::vector<uint64_t> keys = Keys(0, 10);
  for (int64_t step = 1; step <= 5; ++step) {
    const std::vector<bool> expected(keys.size(), step >= 3);
    EXPECT_EQ(WouldAdmit(*admission, step, keys), expected) << step;
    EXPECT_EQ(Admit(admission.get(), step, keys), expected) << step;
  }
}

TEST(CountAdmission, AThresholdOfOneAdmitsAll) {
  const auto admission = MakeAdmission(Count(1), 1, 16, nullptr);
  EXPECT_EQ(WouldAdmit(*admission, 1, Keys(0, 5)), std::vector<bool>(5, true));
  EXPECT_EQ(Admit(admission.get(), 1, Keys(0, 5)), std::vector<bool>(5, true));
}

TEST(CountAdmission, SeveralWorkersMayBringAKeyEarlierThanAPullSaw) {
  const auto admission = MakeAdmission(Count(2), 1, 16, nullptr);
  EXPECT_EQ(WouldAdmit(*admission, 1, {7}), std::vector<bool>{false});
  EXPECT_EQ(Admit(admission.get(), 1, {7}, 2), std::vector<bool>{true});
}

TEST(CountAdmission, ForgetsAfterTheWindow) {
  const auto admission = MakeAdmission(Count(2, 8), 1, 16, nullptr);
  EXPECT_EQ(Admit(admission.get(), 1, {7}), std::vector<bool>{false});
  EXPECT_EQ(Admit(admission.get(), 9, {7}), std::vector<bool>{false});
  EXPECT_EQ(Admit(admission.get(), 16, {7}), std::vector<bool>{true});
}

// Of one worker, pull and push always agree, colliding keys included.
TEST(CountAdmission, PullAndPushAgree) {
  AdmissionConfig config = Count(3, 40);
  config.mutable_count()->set_filter_memory("256B");
  const auto admission = MakeAdmission(config, 1, 4, nullptr);
  for (int64_t step = 1; step <= 200; ++step) {
    std::vector<uint64_t> keys;
    for (uint64_t key = 0; key < 60; ++key) {
      if (RandomBits(9, RandomPurpose::kSampling, key, static_cast<uint64_t>(step)) % 4 == 0) keys.push_back(key);
    }
    const std::vector<bool> seen = WouldAdmit(*admission, step, keys);
    EXPECT_EQ(seen, Admit(admission.get(), step, keys)) << step;
  }
}

TEST(CountAdmission, SavesAndLoads) {
  const auto admission = MakeAdmission(Count(2), 1, 1, nullptr);
  Admit(admission.get(), 1, {7});
  std::vector<uint8_t> bytes;
  admission->SaveShard(0, &bytes);
  EXPECT_EQ(admission->bytes(), 65536);
  const auto other = MakeAdmission(Count(2), 1, 1, nullptr);
  ASSERT_TRUE(other->LoadShard(0, bytes).ok());
  EXPECT_EQ(WouldAdmit(*other, 2, {7, 8}), (std::vector<bool>{true, false}));
}

TEST(ProbabilityAdmission, DrawsByKeyAndStep) {
  AdmissionConfig config;
  config.mutable_probability()->set_probability(0.2);
  const auto admission = MakeAdmission(config, 77, 16, nullptr);
  const std::vector<uint64_t> keys = Keys(0, 10000);
  const std::vector<bool> first = WouldAdmit(*admission, 1, keys);
  EXPECT_EQ(first, Admit(admission.get(), 1, keys));
  EXPECT_EQ(first, Admit(admission.get(), 1, keys, 5));
  const double mean = static_cast<double>(std::count(first.begin(), first.end(), true)) / 10000;
  EXPECT_NEAR(mean, 0.2, 5 * std::sqrt(0.2 * 0.8 / 10000));
  const std::vector<bool> second = WouldAdmit(*admission, 2, keys);
  EXPECT_NE(first, second);
  EXPECT_NE(first, WouldAdmit(*MakeAdmission(config, 78, 16, nullptr), 1, keys));
  // Each step draws anew: after n steps 0.8^n of the keys are left.
  int64_t left = 0;
  for (uint64_t key : keys) {
    bool in = false;
    for (int64_t step = 1; step <= 10 && !in; ++step) in = WouldAdmit(*admission, step, {key})[0];
    left += !in;
  }
  EXPECT_NEAR(static_cast<double>(left) / 10000, std::pow(0.8, 10), 0.02);
}

TEST(ProbabilityAdmission, OneAdmitsAll) {
  AdmissionConfig config;
  config.mutable_probability()->set_probability(1);
  EXPECT_EQ(WouldAdmit(*MakeAdmission(config, 1, 1, nullptr), 1, Keys(0, 1000)), std::vector<bool>(1000, true));
}

TEST(ListAdmission, AdmitsItsKeysOnly) {
  AdmissionConfig config;
  config.mutable_allow_list()->set_path("keys.txt");
  const auto admission = MakeAdmission(config, 1, 16, std::make_shared<KeySet>(Keys(3, 5)));
  EXPECT_EQ(WouldAdmit(*admission, 1, Keys(0, 6)), (std::vector<bool>{false, false, false, true, true, false}));
  EXPECT_EQ(Admit(admission.get(), 1, Keys(0, 6)), (std::vector<bool>{false, false, false, true, true, false}));
}

TEST(FilterBytesMax, IsWhatTheFilterGrowsTo) {
  AdmissionConfig config = Count(2);
  config.mutable_count()->set_filter_memory("100000B");
  const auto admission = MakeAdmission(config, 1, 16, nullptr);
  Admit(admission.get(), 1, Keys(0, 1000));
  EXPECT_EQ(FilterBytesMax(config, 16), 6208 * 16);  // whole lines a shard
  EXPECT_EQ(admission->bytes(), FilterBytesMax(config, 16));
  EXPECT_EQ(FilterBytesMax(AdmissionConfig(), 16), 0);
}

}  // namespace
}  // namespace weir
