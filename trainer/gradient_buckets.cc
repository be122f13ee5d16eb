#include "trainer/gradient_buckets.h"

#include <algorithm>

#include <fmt/format.h>
#include <glog/logging.h>

namespace weir {

GradientBuckets::GradientBuckets(FlatParameters* parameters, Collective* collective, int64_t bucket_bytes,
                                 const TraceTrack& track)
    : parameters_(parameters), collective_(collective), track_(track) {
  Cut(bucket_bytes);
  parameters_->SetOnGradient([this](size_t parameter) { GradientCame(parameter); });
}

GradientBuckets::~GradientBuckets() { parameters_->SetOnGradient({}); }

void GradientBuckets::Cut(int64_t bucket_bytes) {
  const std::span<const FlatParameter> places = parameters_->parameters();
  const auto total = static_cast<int64_t>(parameters_->gradients().size_bytes());
  // No more sums than may be under way at once.
  const int64_t least = std::max(bucket_bytes, (total + Collective::kSumsMax - 2) / (Collective::kSumsMax - 1));
  bucket_of_.resize(places.size());
  int64_t end_bytes = total;
  for (size_t i = places.size(), end = places.size(); i-- > 0;) {
    const int64_t begin_bytes = places[i].offset * static_cast<int64_t>(sizeof(float));
    bucket_of_[i] = buckets_.size();
    if (end_bytes - begin_bytes < least && i > 0) continue;
    buckets_.push_back({.first = i, .end = end});
    end = i;
    end_bytes = begin_bytes;
  }
}

std::span<float> GradientBuckets::bucket(size_t index) const {
  const std::span<const FlatParameter> places = parameters_->parameters();
  const std::span<float> gradients = parameters_->gradients();
  const Bucket& bucket = buckets_[index];
  const size_t begin = places[bucket.first].offset;
  const size_t end = bucket.end < places.size() ? places[bucket.end].offset : gradients.size();
  return gradients.subspan(begin, end - begin);
}

void GradientBuckets::Begin(int64_t step) {
  parameters_->ZeroGradients();
  step_ = step;
  started_ = 0;
  under_way_ = true;
  for (Bucket& bucket : buckets_) bucket.missing = bucket.end - bucket.first;
}

void GradientBuckets::GradientCame(size_t parameter) {
  if (!under_way_) return;  // a pass that trains nothing
  Bucket& bucket = buckets_[bucket_of_[parameter]];
  CHECK_GT(bucket.missing, 0u) << "a gradient came after its bucket was started: the net runs backward twice in a step";
  --bucket.missing;
  if (!failure_.ok()) return;
  failure_ = StartReady();
  if (failure_.ok()) failure_ = Poll();
}

Status GradientBuckets::StartReady() {
  for (; started_ < buckets_.size() && buckets_[started_].missing == 0; ++started_) {
    const TraceSpan span(track_, "start sum", step_);
    Result<SumTicket> sum = collective_->StartAllReduceSum(bucket(started_));
    if (!sum.ok()) return Wrap(sum.status(), started_);
    buckets_[started_].sum = *sum;
  }
  return Status();
}

Status GradientBuckets::StartRest() {
  WEIR_RETURN_IF_ERROR(failure_);
  under_way_ = false;
  for (Bucket& bucket : buckets_) bucket.missing = 0;
  WEIR_RETURN_IF_ERROR(StartReady());
  return Poll();
}

Status GradientBuckets::Poll() {
  if (started_ == 0) return Status();
  const TraceSpan span(track_, "move sums", step_);
  return collective_->PollSums().Wrap("the sum of the dense gradients");
}

Status GradientBuckets::FinishAll() {
  CHECK_EQ(started_, buckets_.size()) << "FinishAll before StartRest";
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const TraceSpan span(track_, "wait for sum", step_);
    WEIR_RETURN_IF_ERROR(Wrap(collective_->FinishSum(buckets_[i].sum), i));
  }
  return Status();
}

Status GradientBuckets::Wrap(const Status& status, size_t bucket) const {
  if (status.ok()) return status;
  return status.Wrap(
      fmt::format("step {}: the sum of the dense gradients, bucket {} of {}", step_, bucket + 1, buckets_.size()));
}

}  // namespace weir
