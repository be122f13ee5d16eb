// Overrides of a job's fields from the command line: "train.epochs=3".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/message.h>

#include "base/status.h"

namespace weir {

// Sets the field that `override` names in `message` and returns its path. Fields of messages are reached by dots,
// elements of lists by [index], counted in the message as it is. A list of scalars takes the value split at commas in
// place of all its elements; an empty value empties it. Enums go by name, booleans by true, false, 1 and 0. A message
// takes its text in braces in place of what it held: "optimizers.dense.sgd={}". InvalidArgument with the nearest names
// for an unknown field, the expected form for a bad value, and for a field of a oneof's member (model.deepfm.dropout)
// while another one is set.
Result<std::string> ApplyOverride(const std::string& override_text, google::protobuf::Message* message);

// The fields of a message, in order of declaration.
std::vector<std::string> FieldNames(const google::protobuf::Descriptor& type);

}  // namespace weir
