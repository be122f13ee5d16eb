#include "base/trace.h"

#include <iterator>

#include <fmt/format.h>

namespace weir {
namespace {

// Names are ours and hosts': what JSON would need to escape is left out.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

Trace::Trace(int64_t spans_max, const Clock* clock) : spans_max_(static_cast<size_t>(spans_max)), clock_(clock) {}

int Trace::AddTrack(std::string name) {
  const std::lock_guard lock(mutex_);
  tracks_.push_back(std::move(name));
  return static_cast<int>(tracks_.size()) - 1;
}

void Trace::AddSpan(int track, const char* name, int64_t step, int64_t begin_ns, int64_t end_ns) {
  const Span span = {name, begin_ns, end_ns, step, track};
  const std::lock_guard lock(mutex_);
  if (spans_.size() < spans_max_) {
    spans_.push_back(span);
    return;
  }
  spans_[next_] = span;
  next_ = (next_ + 1) % spans_max_;
}

std::string Trace::ToEvents(int process, const std::string& process_name, int64_t offset_ns) const {
  const std::lock_guard lock(mutex_);
  std::string events;
  auto out = std::back_inserter(events);
  fmt::format_to(out, "{{\"ph\": \"M\", \"name\": \"process_name\", \"pid\": {}, \"args\": {{\"name\": {}}}}},\n",
                 process, Quoted(process_name));
  for (size_t track = 0; track < tracks_.size(); ++track) {
    fmt::format_to(
        out, "{{\"ph\": \"M\", \"name\": \"thread_name\", \"pid\": {}, \"tid\": {}, \"args\": {{\"name\": {}}}}},\n",
        process, track, Quoted(tracks_[track]));
  }
  for (size_t i = 0; i < spans_.size(); ++i) {
    const Span& span = spans_[(next_ + i) % spans_.size()];
    fmt::format_to(out,
                   "{{\"ph\": \"X\", \"name\": \"{}\", \"pid\": {}, \"tid\": {}, \"ts\": {:.3f}, \"dur\": {:.3f}, "
                   "\"args\": {{\"step\": {}}}}},\n",
                   span.name, process, span.track, static_cast<double>(span.begin_ns + offset_ns) / 1e3,
                   static_cast<double>(span.end_ns - span.begin_ns) / 1e3, span.step);
  }
  return events;
}

}  // namespace weir
