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
#include <asio/post.hpp>

namespace weir {
namespace {

static_assert(std::has_single_bit(kRingBytes));
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

// Copied at a time: the other end copies out while this one copies in.
constexpr size_t kChunkBytes = 64 << 10;
constexpr char kOffer = 'm';  // the byte that carries the memory's descriptor
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

struct Memory {
  RingHead heads[2];  // of the bytes from the end that accepted; of those from the end that dialed
  alignas(4096) uint8_t bytes[2][kRingBytes];
};

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Status SystemError(const char* call) { return Unavailable(fmt::format("{}: {}", call, std::strerror(errno))); }

Status Broken(uint64_t found) {
  return DataLoss(fmt::format("shared memory: expected at most {} bytes under way, found {}", kRingBytes, found));
}

class Mapping {
 public:
  Mapping() = default;
  explicit Mapping(Memory* memory) : memory_(memory) {}
  Mapping(Mapping&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~Mapping() {
    if (memory_ != nullptr) munmap(memory_, sizeof(Memory));
  }
  Memory* operator->() const { return memory_; }

 private:
  Memory* memory_ = nullptr;
};

Result<Mapping> Map(int fd) {
  void* memory = mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return SystemError("mmap of shared memory");
  return Mapping(static_cast<Memory*>(memory));
}

// A descriptor of zeroed memory; the caller closes it.
Result<int> MakeMemory() {
  const int fd = memfd_create("weir", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return SystemError("memfd_create");
  if (ftruncate(fd, sizeof(Memory)) == 0 && fcntl(fd, F_ADD_SEALS, kSeals) == 0) return fd;
  const Status error = SystemError("shared memory");
  close(fd);
  return error;
}

// One byte, with a descriptor: sent, or taken (-1: none came with it).
union Descriptor {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

msghdr MessageWith(iovec* byte, Descriptor* descriptor) {
  msghdr message{};
  message.msg_iov = byte;
  message.msg_iovlen = 1;
  message.msg_control = descriptor->bytes;
  message.msg_controllen = sizeof(descriptor->bytes);
  return message;
}

Status SendDescriptor(int socket, int fd) {
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

Result<int> TakeDescriptor(int socket) {
  char offer = 0;
  iovec byte = {&offer, 1};
  Descriptor descriptor{};
  msghdr message = MessageWith(&byte, &descriptor);
  const ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return SystemError("taking shared memory");
  if (got == 0) return Unavailable("closed the connection");
  int fd = -1;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) std::memcpy(&fd, CMSG_DATA(header), sizeof(int));
  if (offer == kOffer && fd >= 0) return fd;
  if (fd >= 0) close(fd);
  return DataLoss("expected an offer of shared memory, found something else: is it a server of this version?");
}

Result<Mapping> MapOffered(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  const off_t bytes = lseek(fd, 0, SEEK_END);
  if (seals < 0 || (seals & kSeals) != kSeals || bytes != static_cast<off_t>(sizeof(Memory))) {
    return DataLoss(fmt::format("shared memory: expected {} bytes, sealed, found {} with seals {:#x}", sizeof(Memory),
                                bytes, seals));
  }
  return Map(fd);
}

// The writer's side of a ring. Its calls come from one thread at a time.
class RingWriter {
 public:
  void Open(RingHead* head, uint8_t* bytes) {
    head_ = head;
    bytes_ = bytes;
  }
  // How much of it went in.
  Result<size_t> Write(const uint8_t* from, size_t size) {
    size_t done = 0;
    while (done < size) {
      const uint64_t under_way = written_ - head_->read.load(std::memory_order_acquire);
      if (under_way > kRingBytes) return Broken(under_way);
      const size_t n = std::min({size - done, kRingBytes - static_cast<size_t>(under_way), kChunkBytes});
      if (n == 0) break;
      const size_t at = written_ % kRingBytes, first = std::min(n, kRingBytes - at);
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
  uint64_t written_ = 0;
};

// The reader's side: the transport's thread.
class RingReader {
 public:
  void Open(RingHead* head, const uint8_t* bytes) {
    head_ = head;
    bytes_ = bytes;
  }
  // How much came out; 0: nothing is there.
  Result<size_t> Read(uint8_t* to, size_t size) {
    size_t done = 0;
    while (done < size) {
      const uint64_t ready = head_->written.load(std::memory_order_acquire) - read_;
      if (ready > kRingBytes) return Broken(ready);
      const size_t n = std::min({size - done, static_cast<size_t>(ready), kChunkBytes});
      if (n == 0) break;
      const size_t at = read_ % kRingBytes, first = std::min(n, kRingBytes - at);
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
    return ready <= kRingBytes / 2 && head_->writer_waits.load(std::memory_order_relaxed) != 0 &&
           head_->writer_waits.exchange(0) != 0;
  }

 private:
  RingHead* head_ = nullptr;
  const uint8_t* bytes_ = nullptr;
  uint64_t read_ = 0;
};

class SharedMemoryStream : public Stream {
 public:
  // offer: the descriptor to hand over, closed then; -1 at the end that takes it.
  SharedMemoryStream(Socket socket, Mapping memory, int offer) : socket_(std::move(socket)), offer_(offer) {
    if (offer_ >= 0) Open(std::move(memory), 0);
  }
  ~SharedMemoryStream() override {
    if (offer_ >= 0) close(offer_);
  }

  void Handshake(OnReady done) override {
    if (offer_ >= 0) {
      const Status offered = SendDescriptor(socket_.native_handle(), offer_);
      close(std::exchange(offer_, -1));
      return done(offered);
    }
    socket_.async_wait(Socket::wait_read, [this, done = std::move(done)](const asio::error_code& error) {
      done(error ? SocketStatus(error) : TakeOffer());
    });
  }

  void Read(asio::mutable_buffer to, OnBytes done) override {
    Result<size_t> bytes = TryRead(to);
    if (bytes.ok() && *bytes == 0) {
      in_.Wait();
      bytes = TryRead(to);
    }
    if (!bytes.ok() || *bytes > 0) return Post(bytes, std::move(done));
    Pending* pending = WaitForBell();
    pending->read_to = to;
    pending->on_read = std::move(done);
  }

  void Write(const WriteBuffers& from, OnBytes done) override {
    Result<size_t> bytes = TryWrite(from);
    if (bytes.ok() && *bytes == 0) {
      out_.Wait();
      bytes = TryWrite(from);
    }
    if (!bytes.ok() || *bytes > 0) return Post(bytes, std::move(done));
    Pending* pending = WaitForBell();
    pending->write_from = from;
    pending->on_written = std::move(done);
  }

  size_t WriteNow(const WriteBuffers& from) override {
    const Result<size_t> bytes = TryWrite(from);
    return bytes.ok() ? *bytes : 0;
  }

  // The socket stays open for bells: the peer may still have to be told of room.
  void EndWrites() override {
    out_.End();
    Ring();
  }

  void Close() override {
    asio::error_code error;
    socket_.close(error);
  }

  bool is_unix() const override { return true; }
  asio::any_io_executor executor() override { return socket_.get_executor(); }

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
    out_.Open(&memory_->heads[mine], memory_->bytes[mine]);
    in_.Open(&memory_->heads[1 - mine], memory_->bytes[1 - mine]);
  }

  Status TakeOffer() {
    WEIR_ASSIGN_OR_RETURN(const int fd, TakeDescriptor(socket_.native_handle()));
    Result<Mapping> memory = MapOffered(fd);
    close(fd);
    if (memory.ok()) Open(std::move(*memory), 1);
    return memory.status();
  }

  // An error once nothing is left to be read and nothing more comes. (Whether the end is known is asked first: the
  // peer's last bytes were there before it.)
  Result<size_t> TryRead(asio::mutable_buffer to) {
    const bool ended = peer_gone_ || in_.ended();
    WEIR_ASSIGN_OR_RETURN(const size_t bytes, in_.Read(static_cast<uint8_t*>(to.data()), to.size()));
    if (bytes > 0 && in_.WriterWaits()) Ring();
    if (bytes == 0 && ended) return Unavailable("closed the connection");
    return bytes;
  }

  Result<size_t> TryWrite(const WriteBuffers& from) {
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

  // Where the socket is full of bells, the peer has one.
  void Ring() { (void)send(socket_.native_handle(), &kBell, 1, MSG_DONTWAIT | MSG_NOSIGNAL); }

  void Post(const Result<size_t>& bytes, OnBytes done) {
    asio::post(socket_.get_executor(),
               [status = bytes.status(), n = bytes.ok() ? *bytes : 0, done = std::move(done)] { done(status, n); });
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

  void TakeBells() {
    char bells[64];
    ssize_t got;
    do {
      got = recv(socket_.native_handle(), bells, sizeof(bells), MSG_DONTWAIT);
    } while (got == sizeof(bells) || (got < 0 && errno == EINTR));
    if (got == 0 || (got < 0 && errno != EAGAIN)) peer_gone_ = true;
  }

  Socket socket_;
  int offer_;
  Mapping memory_;
  RingWriter out_;
  RingReader in_;
  Pending* pending_ = nullptr;
  std::atomic<bool> peer_gone_ = false;
};

}  // namespace

Result<std::unique_ptr<Stream>> AcceptSharedMemory(Stream::Socket socket) {
  WEIR_ASSIGN_OR_RETURN(const int fd, MakeMemory());
  Result<Mapping> memory = Map(fd);
  if (!memory.ok()) {
    close(fd);
    return memory.status();
  }
  return std::unique_ptr<Stream>(std::make_unique<SharedMemoryStream>(std::move(socket), std::move(*memory), fd));
}

std::unique_ptr<Stream> DialSharedMemory(Stream::Socket socket) {
  return std::make_unique<SharedMemoryStream>(std::move(socket), Mapping(), -1);
}

}  // namespace weir
