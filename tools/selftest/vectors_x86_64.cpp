#include "vectors.hpp"

#include <cstdint>

namespace selftest {
namespace {

using xmm = int __attribute__((vector_size(16)));
using ymm = int __attribute__((vector_size(32)));
using zmm = int __attribute__((vector_size(64)));

template <class Suspend> bool keeps_xmm(const Suspend& suspend, int number, bool spoiled) {
    return keeps_vectors<xmm>(suspend, number, spoiled);
}

template <class Suspend> [[gnu::target("avx2")]] bool keeps_ymm(const Suspend& suspend, int number, bool spoiled) {
    return keeps_vectors<ymm>(suspend, number, spoiled);
}

template <class Suspend>
[[gnu::target("avx512f,avx512bw")]] bool keeps_zmm(const Suspend& suspend, int number, bool spoiled) {
    std::uint64_t mask = 0x0123'4567'89ab'cdef * static_cast<unsigned>(number);
    asm volatile("" : "+k"(mask)); // from here on in a mask register, which no call preserves: the compiler has to
    const bool kept = keeps_vectors<zmm>(suspend, number, spoiled);
    asm volatile("" : "+k"(mask));
    return kept && mask == 0x0123'4567'89ab'cdef * static_cast<unsigned>(number);
}

finding check_vectors(bool spoiled) {
    std::string lost;
    if (!kept_by_two([&](const auto& suspend, int number) { return keeps_xmm(suspend, number, spoiled); }))
        lost += " xmm";
    const char* largest = "xmm";
    if (__builtin_cpu_supports("avx2")) {
        largest = "xmm, ymm";
        if (!kept_by_two([&](const auto& suspend, int number) { return keeps_ymm(suspend, number, spoiled); }))
            lost += " ymm";
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
        largest = "xmm, ymm, zmm, mask registers";
        if (!kept_by_two([&](const auto& suspend, int number) { return keeps_zmm(suspend, number, spoiled); }))
            lost += " zmm or a mask register";
    }
    return holds_if(lost.empty(), largest, "lost:" + lost);
}

constexpr duty duties[] = {
    {"vectors", "vector values across a switch", check_vectors},
};

} // namespace

std::span<const duty> vector_duties() {
    return duties;
}

} // namespace selftest
