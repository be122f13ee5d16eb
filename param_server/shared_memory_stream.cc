#include "param_server/shared_memory_stream.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>
#include <asio/post.hpp>

namespace weir {
namespace {

static_assert(std::has_single_bit(kRingBytesMin) && std::has_single_bit(kRingBytesMax));
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

// Copied at a time: the other end copies out while this one copies in.
constexpr size_t kChunkBytes = 64 << 10;
constexpr char kOffer = 'm';    // the byte that carries the memory's descriptor
constexpr char kNoOffer = 's';  // there is none: frames go over the socket
constexpr char kBell = '!';

// What both ends see of a ring. Either end may write anything: each believes its own counter and bounds the other's.
struct alignas(64) RingHead {
  std::atomic<uint64_t> written;  // bytes since the beginning; stored by the writer
  std::atomic<uint32_t> ended;    // nothing comes after these
  alignas(64) std::atomic<uint64_t> read;
  // Set by the end that waits, cleared by the one that rings.
  alignas(64) std::atomic<uint32_t> reader_waits;
  std::atomic<uint32_t> writer_waits;
};

// Two heads (of the bytes from the end that accepted; of those from the end that dialed), then the bytes of the rings.
constexpr size_t kHeadBytes = 4096;
static_assert(2 * sizeof(RingHead) <= kHeadBytes);

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Status SystemError(const char* call) { return Unavailable(fmt::format("{}: {}", call, std::strerror(errno))); }

class Mapping {
 public:
  Mapping() = default;
  Mapping(void* memory, size_t ring_bytes) : memory_(static_cast<uint8_t*>(memory)), ring_bytes_(ring_bytes) {}
  Mapping(Mapping&& other) noexcept { *this = std::move(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(ring_bytes_, other.ring_bytes_);
    return *this;
  }
  ~Mapping() {
    if (memory_ != nullptr) munmap(memory_, bytes());
  }
  size_t ring_bytes() const { return ring_bytes_; }
  size_t bytes() const { return kHeadBytes + 2 * ring_bytes_; }
  RingHead* head(int ring) const { return reinterpret_cast<RingHead*>(memory_) + ring; }
  uint8_t* ring(int ring) const { return memory_ + kHeadBytes + ring * ring_bytes_; }

 private:
  uint8_t* memory_ = nullptr;
  size_t ring_bytes_ = 0;
};

Result<Mapping> Map(int fd, size_t ring_bytes) {
  const size_t bytes = kHeadBytes + 2 * ring_bytes;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return SystemError("mmap of shared memory");
  return Mapping(memory, ring_bytes);
}

// A descriptor of zeroed memory; the caller closes it.
Result<int> MakeMemory(size_t ring_bytes) {
  const int fd = memfd_create("weir", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return SystemError("memfd_create");
  const auto bytes = static_cast<off_t>(kHeadBytes + 2 * ring_bytes);
  if (ftruncate(fd, bytes) == 0 && fcntl(fd, F_ADD_SEALS, kSeals) == 0) return fd;
  const Status error = SystemError("shared memory");
  close(fd);
  return error;
}

// One byte, and a descriptor with it.
union Descriptor {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

msghdr MessageWith(iovec* byte, Descriptor* descriptor) {
  msghdr message{};
  message.msg_iov = byte;
  message.msg_iovlen = 1;
  message.msg_control = descriptor->bytes;
  // Without room for a second one, which the system would open for us and nobody would close.
  message.msg_controllen = CMSG_LEN(sizeof(int));
  return message;
}

Status SendOffer(int socket, int fd) {
  char offer = kOffer;
  iovec byte = {&offer, 1};
  Descriptor descriptor{};
  const msghdr message = MessageWith(&byte, &descriptor);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(int));
  return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? Status() : SystemError("offering shared memory");
}

// The descriptor, -1 if none is offered.
Result<int> TakeOffer(int socket) {
  char offer = 0;
  iovec byte = {&offer, 1};
  Descriptor descriptor{};
  msghdr message = MessageWith(&byte, &descriptor);
  const ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return SystemError("taking shared memory");
  if (got == 0) return Unavailable("closed the connection");
  int fd = -1;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  const bool has_one = header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
                       header->cmsg_len == CMSG_LEN(sizeof(int));
  if (has_one) std::memcpy(&fd, CMSG_DATA(header), sizeof(int));
  const bool alone = (message.msg_flags & MSG_CTRUNC) == 0;
  if (alone && offer == (fd >= 0 ? kOffer : kNoOffer)) return fd;
  if (fd >= 0) close(fd);
  return DataLoss("expected an offer of shared memory, found something else: is it a server of this version?");
}

Result<Mapping> MapOffered(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  const off_t bytes = lseek(fd, 0, SEEK_END);
  const size_t ring_bytes = bytes > static_cast<off_t>(kHeadBytes) ? (bytes - kHeadBytes) / 2 : 0;
  const bool has_size = ring_bytes >= kRingBytesMin && ring_bytes <= kRingBytesMax && std::has_single_bit(ring_bytes) &&
                        bytes == static_cast<off_t>(kHeadBytes + 2 * ring_bytes);
  if (seals < 0 || (seals & kSeals) != kSeals || !has_size) {
    return DataLoss(
        fmt::format("shared memory: expected two rings of {} to {} bytes, sealed, found {} bytes with seals "
                    "{:#x}",
                    kRingBytesMin, kRingBytesMax, bytes, seals));
  }
  return Map(fd, ring_bytes);
}

Status Broken(size_t ring_bytes, uint64_t found) {
  return DataLoss(fmt::format("shared memory: expected at most {} bytes under way, found {}", ring_bytes, found));
}

// The writer's side of a ring. Its calls come from one thread at a time.
class RingWriter {
 public:
  void Open(const Mapping& memory, int ring) {
    head_ = memory.head(ring);
    bytes_ = memory.ring(ring);
    ring_bytes_ = memory.ring_bytes();
  }
  // How much of it went in: a ring's worth at most, for the caller may hold up others.
  Result<size_t> Write(const uint8_t* from, size_t size) {
    size = std::min(size, ring_bytes_);
    size_t done = 0;
    while (done < size) {
      const uint64_t under_way = written_ - head_->read.load(std::memory_order_acquire);
      if (under_way > ring_bytes_) return Broken(ring_bytes_, under_way);
      const size_t n = std::min({size - done, ring_bytes_ - static_cast<size_t>(under_way), kChunkBytes});
      if (n == 0) break;
      const size_t at = written_ % ring_bytes_, first = std::min(n, ring_bytes_ - at);
      std::memcpy(bytes_ + at, from + done, first);
      std::memcpy(bytes_, from + done + first, n - first);
      written_ += n;
      done += n;
      head_->written.store(written_, std::memory_order_release);
    }
    return done;
  }
  void End() { head_->ended.store(1, std::memory_order_release); }
  // The caller looks once more before it sleeps.
  void Wait() {
    head_->writer_waits.store(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  // Whether the reader must be rung for; then it is taken to have been.
  bool ReaderWaits() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return head_->reader_waits.load(std::memory_order_relaxed) != 0 && head_->reader_waits.exchange(0) != 0;
  }

 private:
  RingHead* head_ = nullptr;
  uint8_t* bytes_ = nullptr;
  size_t ring_bytes_ = 0;
  uint64_t written_ = 0;
};

// The reader's side: the transport's thread.
class RingReader {
 public:
  void Open(const Mapping& memory, int ring) {
    head_ = memory.head(ring);
    bytes_ = memory.ring(ring);
    ring_bytes_ = memory.ring_bytes();
  }
  // How much came out, a ring's worth at most; 0: nothing is there.
  Result<size_t> Read(uint8_t* to, size_t size) {
    size = std::min(size, ring_bytes_);
    size_t done = 0;
    while (done < size) {
      const uint64_t ready = head_->written.load(std::memory_order_acquire) - read_;
      if (ready > ring_bytes_) return Broken(ring_bytes_, ready);
      const size_t n = std::min({size - done, static_cast<size_t>(ready), kChunkBytes});
      if (n == 0) break;
      const size_t at = read_ % ring_bytes_, first = std::min(n, ring_bytes_ - at);
      std::memcpy(to + done, bytes_ + at, first);
      std::memcpy(to + done + first, bytes_, n - first);
      read_ += n;
      done += n;
      head_->read.store(read_, std::memory_order_release);
    }
    return done;
  }
  bool ended() const { return head_->ended.load(std::memory_order_acquire) != 0; }
  // As a writer's.
  void Wait() {
    head_->reader_waits.store(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  // Not for every byte of room: a writer that is woken finds half of the ring free.
  bool WriterWaits() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const uint64_t ready = head_->written.load(std::memory_order_relaxed) - read_;
    return ready <= ring_bytes_ / 2 && head_->writer_waits.load(std::memory_order_relaxed) != 0 &&
           head_->writer_waits.exchange(0) != 0;
  }

 private:
  RingHead* head_ = nullptr;
  const uint8_t* bytes_ = nullptr;
  size_t ring_bytes_ = 0;
  uint64_t read_ = 0;
};

class SharedMemoryStream : public Stream {
 public:
  // The end that offers: the memory and its descriptor, which is closed once it is handed over.
  SharedMemoryStream(Socket socket, Mapping memory, int offer) : socket_(std::move(socket)), offer_(offer) {
    Open(std::move(memory), 0);
  }
  // The end that takes it.
  explicit SharedMemoryStream(Socket socket) : socket_(std::move(socket)) {}
  ~SharedMemoryStream() override {
    if (offer_ >= 0) close(offer_);
  }

  void Handshake(OnReady done) override {
    if (offer_ >= 0) {
      const Status offered = SendOffer(socket_.native_handle(), offer_);
      close(std::exchange(offer_, -1));
      return done(offered);
    }
    socket_.async_wait(Socket::wait_read, [this, done = std::move(done)](const asio::error_code& error) {
      done(error ? SocketStatus(error) : OpenOffered());
    });
  }

  void Read(asio::mutable_buffer to, OnBytes done) override {
    if (plain_) return plain_->Read(to, std::move(done));
    if (DoneAtOnce([&] { return TryRead(to); }, &in_, &done)) return;
    Pending* pending = WaitForBell();
    pending->read_to = to;
    pending->on_read = std::move(done);
  }

  void Write(const WriteBuffers& from, OnBytes done) override {
    if (plain_) return plain_->Write(from, std::move(done));
    if (DoneAtOnce([&] { return TryWrite(from); }, &out_, &done)) return;
    Pending* pending = WaitForBell();
    pending->write_from = from;
    pending->on_written = std::move(done);
  }

  size_t WriteNow(const WriteBuffers& from) override {
    if (plain_) return plain_->WriteNow(from);
    const Result<size_t> bytes = TryWrite(from);
    return bytes.ok() ? *bytes : 0;
  }

  // The socket stays open for bells: the peer may still have to be told of room.
  void EndWrites() override {
    if (plain_) return plain_->EndWrites();
    out_.End();
    Ring();
  }

  void Close() override {
    if (plain_) return plain_->Close();
    ended_ = true;
    asio::error_code error;
    socket_.close(error);
  }

  bool is_unix() const override { return true; }
  asio::any_io_executor executor() override { return plain_ ? plain_->executor() : socket_.get_executor(); }

 private:
  // What waits for a bell. Owned by the handler of that wait, so that it goes where the handler is dropped.
  struct Pending {
    asio::mutable_buffer read_to;
    OnBytes on_read;
    WriteBuffers write_from;
    OnBytes on_written;
  };

  void Open(Mapping memory, int mine) {
    memory_ = std::move(memory);
    out_.Open(memory_, mine);
    in_.Open(memory_, 1 - mine);
  }

  Status OpenOffered() {
    WEIR_ASSIGN_OR_RETURN(const int fd, TakeOffer(socket_.native_handle()));
    if (fd < 0) {
      plain_ = MakeSocketStream(std::move(socket_));
      return Status();
    }
    Result<Mapping> memory = MapOffered(fd);
    close(fd);
    if (memory.ok()) Open(std::move(*memory), 1);
    return memory.status();
  }

  // An error once nothing is left to be read and nothing more comes. (Whether the end is known is asked first: the
  // peer's last bytes were there before it.)
  Result<size_t> TryRead(asio::mutable_buffer to) {
    WEIR_RETURN_IF_ERROR(CheckOpen());
    const bool last = peer_gone_ || in_.ended();
    WEIR_ASSIGN_OR_RETURN(const size_t bytes, in_.Read(static_cast<uint8_t*>(to.data()), to.size()));
    if (bytes > 0 && in_.WriterWaits()) Ring();
    if (bytes == 0 && last) return Unavailable("closed the connection");
    return bytes;
  }

  Result<size_t> TryWrite(const WriteBuffers& from) {
    WEIR_RETURN_IF_ERROR(CheckOpen());
    if (peer_gone_) return Unavailable("closed the connection");
    size_t all = 0;
    for (const asio::const_buffer& part : from) {
      WEIR_ASSIGN_OR_RETURN(const size_t bytes, out_.Write(static_cast<const uint8_t*>(part.data()), part.size()));
      all += bytes;
      if (bytes > 0 && out_.ReaderWaits()) Ring();
      if (bytes < part.size()) break;
    }
    return all;
  }

  Status CheckOpen() const {
    if (foreign_bytes_) return DataLoss("shared memory: expected bells on the socket, found other bytes");
    return ended_ ? Unavailable("the connection was closed") : Status();
  }

  // Where the socket is full of bells, the peer has one.
  void Ring() { (void)send(socket_.native_handle(), &kBell, 1, MSG_DONTWAIT | MSG_NOSIGNAL); }

  void Post(const Result<size_t>& bytes, OnBytes done) {
    asio::post(socket_.get_executor(),
               [this, status = bytes.status(), n = bytes.ok() ? *bytes : 0, done = std::move(done)] {
                 // Closed meanwhile: the bytes are nobody's.
                 if (status.ok() && ended_) return done(CheckOpen(), 0);
                 done(status, n);
               });
  }

  // Tries, and once more after it said that this end waits: what came between would ring no bell. False: nothing moved.
  template <typename Try, typename RingEnd>
  bool DoneAtOnce(const Try& try_it, RingEnd* end, OnBytes* done) {
    Result<size_t> bytes = try_it();
    if (bytes.ok() && *bytes == 0) {
      end->Wait();
      bytes = try_it();
    }
    if (bytes.ok() && *bytes == 0) return false;
    Post(bytes, std::move(*done));
    return true;
  }

  Pending* WaitForBell() {
    if (pending_ != nullptr) return pending_;
    auto pending = std::make_shared<Pending>();
    pending_ = pending.get();
    socket_.async_wait(Socket::wait_read, [this, pending](const asio::error_code& error) { OnBell(pending, error); });
    return pending_;
  }

  // Tries again what waited. What is handed on keeps this alive.
  void OnBell(const std::shared_ptr<Pending>& rung, const asio::error_code& error) {
    pending_ = nullptr;
    Pending waited = std::exchange(*rung, Pending());
    if (error) {
      if (waited.on_read) waited.on_read(SocketStatus(error), 0);
      if (waited.on_written) waited.on_written(SocketStatus(error), 0);
      return;
    }
    TakeBells();
    if (waited.on_read) Read(waited.read_to, std::move(waited.on_read));
    if (waited.on_written) Write(waited.write_from, std::move(waited.on_written));
  }

  // Once: who rings without end must not keep the thread. The next wait finds what is left.
  void TakeBells() {
    char bells[4096];
    const ssize_t got = recv(socket_.native_handle(), bells, sizeof(bells), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) peer_gone_ = true;
    if (!std::all_of(bells, bells + std::max<ssize_t>(got, 0), [](char bell) { return bell == kBell; })) {
      foreign_bytes_ = true;
    }
  }

  Socket socket_;
  int offer_ = -1;
  std::unique_ptr<Stream> plain_;  // instead of all that follows, where no memory was offered
  Mapping memory_;
  RingWriter out_;
  RingReader in_;
  Pending* pending_ = nullptr;
  // Read by the thread that calls WriteNow, too.
  std::atomic<bool> peer_gone_ = false;
  std::atomic<bool> foreign_bytes_ = false;
  std::atomic<bool> ended_ = false;
};

// Says that there is no memory, and why.
std::unique_ptr<Stream> OfferNone(Stream::Socket socket, const Status& reason) {
  LOG_EVERY_T(WARNING, 60) << "connections within this machine go over sockets: " << reason.ToString();
  (void)send(socket.native_handle(), &kNoOffer, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  return MakeSocketStream(std::move(socket));
}

}  // namespace

size_t RingBytes(int num_workers) {
  constexpr size_t kRingsBytes = 16 << 20;  // one way, all workers
  return std::clamp(std::bit_floor(kRingsBytes / static_cast<size_t>(std::max(num_workers, 1))), kRingBytesMin,
                    kRingBytesMax);
}

std::unique_ptr<Stream> AcceptSharedMemory(Stream::Socket socket, size_t ring_bytes) {
  const Result<int> fd = MakeMemory(ring_bytes);
  if (!fd.ok()) return OfferNone(std::move(socket), fd.status());
  Result<Mapping> memory = Map(*fd, ring_bytes);
  if (memory.ok()) return std::make_unique<SharedMemoryStream>(std::move(socket), std::move(*memory), *fd);
  close(*fd);
  return OfferNone(std::move(socket), memory.status());
}

std::unique_ptr<Stream> DialSharedMemory(Stream::Socket socket) {
  return std::make_unique<SharedMemoryStream>(std::move(socket));
}

}  // namespace weir
