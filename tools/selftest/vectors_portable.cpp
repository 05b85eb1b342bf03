#include "vectors.hpp"

namespace selftest {
namespace {

using vector = int __attribute__((vector_size(16)));

finding check_vectors(bool spoiled) {
    const bool kept =
        kept_by_two([&](const auto& suspend, int number) { return keeps_vectors<vector>(suspend, number, spoiled); });
    return holds_if(kept, "of 16 bytes", "a value has changed");
}

constexpr duty duties[] = {
    {"vectors", "vector values across a switch", check_vectors},
};

} // namespace

std::span<const duty> vector_duties() {
    return duties;
}

} // namespace selftest
