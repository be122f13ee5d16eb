// ArrowMessages: where the messages of Arrow IPC lie, and how many rows each record batch has, found without reading
// the batches: Arrow's own readers tell neither.
//
//   stream  := message* end
//   message := 0xFFFFFFFF, metadata bytes i32, metadata, body            (before Arrow 0.15 without the first)
//   end     := 0xFFFFFFFF, 0 i32                                         (likewise)
//   file    := "ARROW1" 0 0, stream, footer
//
// The metadata is a flatbuffer, a Message of Arrow's Message.fbs, of which three fields are read here.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <arrow/io/type_fwd.h>

#include "base/status.h"

namespace weir {

enum class ArrowMessageKind { kSchema, kDictionary, kRecordBatch };

struct ArrowMessage {
  ArrowMessageKind kind = ArrowMessageKind::kSchema;
  int64_t offset_bytes = 0;
  int64_t size_bytes = 0;  // with what stands before the metadata, and the body
  int64_t rows = 0;        // of a record batch
};

// What the metadata say. DataLoss for bytes that are no such flatbuffer, Unimplemented for tensors. offset_bytes and
// size_bytes are left as they are; *body_bytes is not below 0.
Result<ArrowMessage> DecodeArrowMetadata(std::string_view metadata, int64_t* body_bytes);

// The messages from offset_bytes on, up to the end of the stream. DataLoss when there is none, or it goes past
// limit_bytes. Errors do not name the file.
Result<std::vector<ArrowMessage>> ListArrowMessages(arrow::io::RandomAccessFile* file, int64_t offset_bytes,
                                                    int64_t limit_bytes);

}  // namespace weir
