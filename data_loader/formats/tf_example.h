// tf.Example, the protobuf message that most TFRecord files hold, read without making a message of it: a hostile one of
// 16 MiB would become objects of a GiB.
//
//   Example  { Features features = 1; }
//   Features { map<string, Feature> feature = 1; }
//   Feature  { oneof { BytesList = 1; FloatList = 2; Int64List = 3; } }    each { repeated bytes | float | int64 value
//   = 1; }
//
// Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace weir {

enum class TfFeatureKind { kNone, kBytes, kFloat, kInt64 };

// The values of one feature, in the vector of its kind; the others are empty.
struct TfFeature {
  TfFeatureKind kind = TfFeatureKind::kNone;
  std::vector<std::string_view> bytes;  // in what was decoded
  std::vector<float> floats;
  std::vector<int64_t> integers;

  size_t size() const { return bytes.size() + floats.size() + integers.size(); }
  void Clear();
};

// Calls visit(name, feature) for each feature, encoded, in the order they stand in; where a name stands twice the last
// one counts. InvalidArgument where the bytes are no tf.Example, Unimplemented where they are a tf.SequenceExample.
Status VisitTfExample(std::string_view example,
                      const std::function<void(std::string_view name, std::string_view feature)>& visit);

// *out is what was encoded; its vectors are used again.
Status DecodeTfFeature(std::string_view feature, TfFeature* out);

// "bytes", "float", "int64".
std::string_view TfFeatureKindName(TfFeatureKind kind);

}  // namespace weir
