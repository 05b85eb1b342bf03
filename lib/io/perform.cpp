#include "io/perform.hpp"

namespace coir::detail {
namespace {

// Makes one of the unit "done" of what an operation does.
struct single_call {
    operation& work;
    direction way = work.way;
    static constexpr bool takes = true;

    static bool is_empty() noexcept { return false; }
    ssize_t attempt(descriptor_kind, int number) noexcept { return work.attempt(number) ? 1 : -1; }
    [[nodiscard]] bool is_short(ssize_t) const noexcept { return work.took_all(); }
    static bool advance(ssize_t) noexcept { return true; }
};

} // namespace

outcome perform(loop& here, int number, operation& work, deadline until) noexcept {
    single_call adapted{work};
    return perform<single_call>(here, number, adapted, until);
}

} // namespace coir::detail
