// The part of Sessions that turns a worker's frames into requests for the owner thread and its replies into frames.
#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "param_server/server/rows_reply.h"
#include "param_server/server/sessions.h"

namespace weir {
Status Sessions::CheckShards(int table, std::span<const uint64_t> keys) const {
  const int virtual_shards = static_cast<int>(options_.expected.virtual_shards);
  for (const uint64_t key : keys) {
    const int shard = VirtualShard(key, virtual_shards);
    if (shard >= shards_.begin && shard < shards_.end) continue;
    return InvalidArgument(fmt::format("table {}: key {:#018x} belongs to virtual shard {}, this server owns [{}, {})",
                                       table, key, shard, shards_.begin, shards_.end));
  }
  return Status();
}

Status Sessions::Admit(WorkerLink* link) const {
  if (++link->unanswered > kRequestsMax) {
    return ResourceExhausted(fmt::format("more than {} requests without an answer", kRequestsMax));
  }
  if (!link->link.overflowed()) return Status();
  return ResourceExhausted(fmt::format("more than {} answers without an acknowledgement", Link::kFramesKeptMax));
}

Status Sessions::OnPull(const SessionPtr& session, const FrameHeader& header, Buffer payload) {
  auto keys = std::make_shared<PulledKeys>();
  keys->payload = std::move(payload);
  WEIR_ASSIGN_OR_RETURN(keys->pull, DecodePull(keys->payload.span(), options_.formats));
  const PullMessage& pull = keys->pull;
  const uint64_t rows_bytes = RowsBytes(pull, options_.formats);
  if (rows_bytes > static_cast<uint64_t>(options_.max_frame_bytes)) {
    return ResourceExhausted(
        fmt::format("pull of step {} asks for {} bytes of rows: at most {} fit a frame "
                    "(cluster.max_frame_bytes)",
                    pull.step, rows_bytes, options_.max_frame_bytes));
  }
  for (const TableKeys& table : pull.tables) WEIR_RETURN_IF_ERROR(CheckShards(table.table, table.keys));
  WEIR_RETURN_IF_ERROR(Admit(workers_[session->worker].link.get()));
  Worker& worker = workers_[session->worker];
  worker.step_seen = std::max(worker.step_seen, pull.step);
  if (pull.kind == PullKind::kTraining) WEIR_RETURN_IF_ERROR(KeepPulled(&worker, keys));

  auto reply = std::make_shared<RowsReply>(pull, options_.formats);
  OwnerRequest request;
  request.type = MessageType::kPull;
  request.worker = session->worker;
  request.step = pull.step;
  request.kind = pull.kind;
  request.timeout_ns = int64_t{header.timeout_ms} * kNanosPerMilli;
  request.pulls = reply->pulls();
  request.bytes_in = static_cast<int64_t>(kFrameHeaderBytes + keys->payload.size());
  request.bytes_out = static_cast<int64_t>(kFrameHeaderBytes + rows_bytes);
  if (pull.kind == PullKind::kTraining) {
    request.on_early = [link = worker.link, reply,
                        id = header.request_id](std::span<const std::vector<uint32_t>> positions) {
      Buffer early = reply->TakeEarly(positions);
      const size_t bitmap_bytes = reply->early_bitmap_bytes();
      link->link.Send(MessageType::kEarlyRows, id, 0, std::move(early));
      return static_cast<int64_t>(kFrameHeaderBytes + bitmap_bytes);
    };
  }
  request.done = [link = worker.link, keys, reply, id = header.request_id](const Status& status, const OwnerReply&) {
    --link->unanswered;
    if (status.ok()) {
      link->link.Send(MessageType::kRows, id, 0, reply->Take());
    } else {
      link->link.Send(MessageType::kError, id, 0, EncodeError(status));
    }
  };
  owner_->Submit(std::move(request));
  return Status();
}

Status Sessions::KeepPulled(Worker* worker, std::shared_ptr<PulledKeys> pulled) const {
  const int64_t step = pulled->pull.step;
  worker->pulled[step] = std::move(pulled);  // a pull that was given up may be made again
  if (worker->pulled.size() <= kStepsAheadMax + 1) return Status();
  return ResourceExhausted(fmt::format("pull of step {}: no push since step {}, and the pulls of {} steps may wait",
                                       step, worker->pulled.begin()->first - 1, kStepsAheadMax + 1));
}

Status Sessions::OnPush(const SessionPtr& session, Buffer payload) {
  Worker& worker = workers_[session->worker];
  WEIR_ASSIGN_OR_RETURN(const PushMessage header, DecodePushHeader(payload.span()));
  // Sent again. The keys of its pull may be gone.
  if (header.sequence <= worker.pushes_seen) return Status();
  const auto pulled = worker.pulled.find(header.step);
  WEIR_ASSIGN_OR_RETURN(PushMessage push, DecodePush(payload.span(), options_.formats,
                                                     pulled == worker.pulled.end() ? nullptr : &pulled->second->pull));
  if (push.worker != static_cast<uint32_t>(session->worker)) {
    return InvalidArgument(fmt::format("worker {} pushes as worker {}", session->worker, push.worker));
  }
  if (!push.as_pulled) {
    for (const TablePush& table : push.tables) WEIR_RETURN_IF_ERROR(CheckShards(table.table, table.keys));
  }
  WEIR_RETURN_IF_ERROR(Admit(workers_[session->worker].link.get()));
  worker.step_seen = std::max(worker.step_seen, push.step);
  worker.pushes_seen = push.sequence;
  OwnerRequest request;
  request.type = MessageType::kPush;
  request.worker = session->worker;
  request.step = push.step;
  request.sequence = push.sequence;
  request.unix_ms = push.unix_ms;
  request.pushes = std::move(push.tables);
  request.as_pulled = push.as_pulled;
  request.bytes_in = static_cast<int64_t>(kFrameHeaderBytes + payload.size());
  struct Held {
    std::shared_ptr<PulledKeys> keys;  // null if they came with the push
    Buffer payload;
    Buffer values;
  };
  auto held = std::make_shared<Held>();
  if (push.as_pulled) held->keys = pulled->second;
  held->payload = std::move(payload);
  held->values = std::move(push.values);
  worker.pulled.erase(worker.pulled.begin(), worker.pulled.upper_bound(push.step));
  // No answer: the next pull says that it was applied.
  request.done = [link = worker.link, held](const Status& status, const OwnerReply&) {
    --link->unanswered;
    if (!status.ok()) link->link.Send(MessageType::kError, 0, 0, EncodeError(status));
  };
  owner_->Submit(std::move(request));
  return Status();
}

Status Sessions::OnSimpleRequest(const SessionPtr& session, const FrameHeader& header, const Buffer& payload) {
  OwnerRequest request;
  request.type = header.type;
  request.worker = session->worker;
  request.timeout_ns = int64_t{header.timeout_ms} * kNanosPerMilli;
  if (header.type == MessageType::kDrain) {
    WEIR_ASSIGN_OR_RETURN(request.step, DecodeStep(payload.span()));
  } else if (header.type != MessageType::kStats) {
    WEIR_ASSIGN_OR_RETURN(FilesMessage message, DecodeFiles(payload.span()));
    request.step = message.step;
    request.folder = std::move(message.folder);
    request.files = std::move(message.files);
  }
  WEIR_RETURN_IF_ERROR(Admit(workers_[session->worker].link.get()));
  request.done = [link = workers_[session->worker].link, id = header.request_id, type = header.type](
                     const Status& status, OwnerReply reply) {
    --link->unanswered;
    Link& peer = link->link;
    if (!status.ok()) return peer.Send(MessageType::kError, id, 0, EncodeError(status));
    if (type == MessageType::kSave) {
      return peer.Send(MessageType::kFiles, id, 0, EncodeFiles({.step = 0, .folder = "", .files = reply.files}));
    }
    if (type == MessageType::kStats) return peer.Send(MessageType::kStatsReply, id, 0, EncodeStats(reply.stats));
    peer.Send(MessageType::kDone, id, 0, {});
  };
  owner_->Submit(std::move(request));
  return Status();
}

Status Sessions::OnPeerEnd(const SessionPtr& session, const FrameHeader& header, const Buffer& payload) {
  const int worker = session->worker;
  switch (header.type) {
    case MessageType::kGoodbye:
      session->over = true;
      Leave(worker);
      session->channel->CloseAfterWrites();
      return Status();
    case MessageType::kShutdown:
      if (worker != 0) return PermissionDenied("only worker 0 may end the job");
      workers_[worker].link->link.Send(MessageType::kDone, header.request_id, 0, {});
      BeginShutdown(worker);
      return Status();
    case MessageType::kError: {
      Status error;
      WEIR_RETURN_IF_ERROR(DecodeError(payload.span(), &error));
      return error.Wrap("ended the job");
    }
    default:
      return InvalidArgument(fmt::format("a worker sent a {} frame", MessageTypeName(header.type)));
  }
}

}  // namespace weir
