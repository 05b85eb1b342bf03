#include "sched/describe.hpp"
#include "sched/loop.hpp"

namespace coir::detail {
namespace {

// These run in a signal handler, on the thread of the fiber's loop, while a fiber runs: nothing changes meanwhile.

bool is_running(const void* owner) noexcept {
    return loop::is_running(owner);
}

std::uint64_t id(const void* owner) noexcept {
    return static_cast<const fiber_base*>(owner)->id;
}

void name(const void* owner, bounded_text& text) noexcept {
    const auto& fiber = *static_cast<const fiber_base*>(owner);
    text << "fiber " << fiber.id;
    if (fiber.name)
        text << " \"" << fiber.name.get() << "\"";
}

void advise(const void* owner, bounded_text& text) noexcept {
    const spawn_site& site = static_cast<const fiber_base*>(owner)->site;
    text << "\n      ";
    if (site.line != 0)
        text << "spawned at " << site.file << ":" << std::uint64_t{site.line} << "; ";
    text << "ask for more with fiber_options::stack_size, or loop_options::stack_size for all;";
}

} // namespace

constexpr owner_description fibers_as_owners{is_running, id, name, advise};

} // namespace coir::detail
