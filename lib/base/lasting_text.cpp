#include "base/lasting_text.hpp"

#include <atomic>
#include <string>

namespace coir::detail {
namespace {

struct lasting_text {
    std::string text;
    const lasting_text* next; // not written once others see this one
};

// Grows only, so it is read without a lock. Two threads that come with the same text at once may make a copy each.
constinit std::atomic<const lasting_text*> newest = nullptr;

} // namespace

std::string_view lasting_copy(std::string_view text) {
    const lasting_text* const known = newest.load(std::memory_order_acquire);
    for (const lasting_text* each = known; each; each = each->next)
        if (each->text == text)
            return each->text;
    auto* const copy = new lasting_text{std::string{text}, known};
    while (!newest.compare_exchange_weak(copy->next, copy, std::memory_order_release, std::memory_order_relaxed)) {}
    return copy->text;
}

} // namespace coir::detail
