// Bucket: a cache line of a table's index, and finding a key's slot in it with each set of instructions.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace weir {

inline constexpr uint32_t kNoRow = ~uint32_t{0};

// Seven slots. A slot's word holds the remainder of the key's hash (high 64 - p bits) and the low p bits of its row's
// number; its tag is 0 if it is empty, else the row number's next 3 bits (high) and, in 5 bits, 1 + the distance from
// the key's home bucket. p, the number of the hash's bits that the place of the home bucket says, is the segment's.
struct alignas(64) Bucket {
  static constexpr int kSlots = 7;
  static constexpr int kDistanceBits = 5;
  static constexpr uint32_t kDistanceMask = (1 << kDistanceBits) - 1;
  static constexpr uint32_t kDistanceMax = kDistanceMask - 1;
  static constexpr int kRowTagBits = 8 - kDistanceBits;

  uint64_t words[kSlots];
  uint64_t tags;  // byte i: of slot i; the last byte is not used

  uint32_t tag(int slot) const { return tags >> (8 * slot) & 0xff; }
  void SetTag(int slot, uint32_t tag) { tags = (tags & ~(uint64_t{0xff} << (8 * slot))) | uint64_t{tag} << (8 * slot); }
  bool used(int slot) const { return tag(slot) != 0; }
  uint32_t distance(int slot) const { return (tag(slot) & kDistanceMask) - 1; }

  bool full() const {
    const uint64_t t = tags | uint64_t{0xff} << 56;
    return ((t - 0x0101010101010101ULL) & ~t & 0x8080808080808080ULL) == 0;
  }
  // The first empty slot; not for a full bucket.
  int EmptySlot() const {
    const uint64_t zeros = (tags - 0x0101010101010101ULL) & ~tags & 0x8080808080808080ULL;
    return __builtin_ctzll(zeros) / 8;
  }

  uint32_t row(int slot, int p) const {
    const uint64_t low = words[slot] & ((uint64_t{1} << p) - 1);
    return static_cast<uint32_t>(low | uint64_t{tag(slot) >> kDistanceBits} << p);
  }
  uint64_t remainder(int slot, int p) const { return words[slot] >> p; }
  void Set(int slot, uint64_t remainder, uint32_t row, uint32_t distance, int p) {
    const uint64_t row_mask = (uint64_t{1} << p) - 1;
    words[slot] = remainder << p | (row & row_mask);
    SetTag(slot, static_cast<uint32_t>(uint64_t{row} >> p) << kDistanceBits | (distance + 1));
  }
};
static_assert(sizeof(Bucket) == 64);

// Bits 0 to 6: the slot that holds the key with `shifted` (its hash << p), `distance` buckets from its home, if any.
struct ScalarMatch {
  static inline uint32_t Find(const Bucket& bucket, uint64_t shifted, int p, uint32_t distance) {
    uint32_t found = 0;
    for (int slot = 0; slot < Bucket::kSlots; ++slot) {
      const bool same = ((bucket.words[slot] ^ shifted) >> p) == 0;
      const bool here = (bucket.tag(slot) & Bucket::kDistanceMask) == distance + 1;
      found |= static_cast<uint32_t>(same && here) << slot;
    }
    return found;
  }
};

#if defined(__x86_64__)
struct Avx2Match {
  __attribute__((target("avx2"))) static inline uint32_t Find(const Bucket& bucket, uint64_t shifted, int p,
                                                              uint32_t distance) {
    const __m256i wanted = _mm256_set1_epi64x(static_cast<int64_t>(shifted));
    const __m128i shift = _mm_cvtsi32_si128(p);
    const __m256i zero = _mm256_setzero_si256();
    const auto* line = reinterpret_cast<const __m256i*>(&bucket);
    const __m256i low = _mm256_srl_epi64(_mm256_xor_si256(_mm256_load_si256(line), wanted), shift);
    const __m256i high = _mm256_srl_epi64(_mm256_xor_si256(_mm256_load_si256(line + 1), wanted), shift);
    const int same_low = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(low, zero)));
    const int same_high = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(high, zero)));
    const __m128i distances = _mm_and_si128(_mm_cvtsi64_si128(static_cast<int64_t>(bucket.tags)),
                                            _mm_set1_epi8(static_cast<char>(Bucket::kDistanceMask)));
    const int here = _mm_movemask_epi8(_mm_cmpeq_epi8(distances, _mm_set1_epi8(static_cast<char>(distance + 1))));
    return static_cast<uint32_t>((same_low | same_high << 4) & here) & 0x7f;
  }
};

struct Avx512Match {
  __attribute__((target("avx512f,avx512vl,avx512bw"))) static inline uint32_t Find(const Bucket& bucket,
                                                                                   uint64_t shifted, int p,
                                                                                   uint32_t distance) {
    const __m512i differs =
        _mm512_xor_si512(_mm512_load_si512(&bucket), _mm512_set1_epi64(static_cast<int64_t>(shifted)));
    const __mmask8 same = _mm512_cmplt_epu64_mask(differs, _mm512_set1_epi64(int64_t{1} << p));
    const __m128i distances = _mm_and_si128(_mm_cvtsi64_si128(static_cast<int64_t>(bucket.tags)),
                                            _mm_set1_epi8(static_cast<char>(Bucket::kDistanceMask)));
    const __mmask16 here = _mm_cmpeq_epi8_mask(distances, _mm_set1_epi8(static_cast<char>(distance + 1)));
    return (same & here) & 0x7f;
  }
};
#endif

}  // namespace weir
