#include "base/diagnostic.hpp"
#include "base/throw_cancelled.hpp"
#include "sched/describe.hpp"
#include "sched/fiber_storage.hpp"
#include "sched/loop.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

namespace coir::detail {
namespace {

// Frees an ended fiber whose result nobody has asked for. A failure is not lost without a word.
void discard(fiber_base& fiber) noexcept {
    if (fiber.failure && !is_cancelled(fiber.failure)) // cancelled is what was asked for
        report([&] { return describe(fiber) + " failed and was never joined: " + describe_failure(fiber.failure); },
               "a fiber failed and was never joined");
    delete &fiber;
}

} // namespace

fiber_base::fiber_base() noexcept {
    is_plain = false; // it has no stack
}

fiber_base::~fiber_base() = default;

// Without a loop there is nothing that a fiber could be made for. AddressSanitizer finds uses after the end only in blocks that
// are really freed.
void* fiber_base::operator new(std::size_t size) {
    loop& here = loop::of_running_fiber("spawn()");
    return sanitizer::enabled ? ::operator new(size) : here.blocks().allocate(size);
}

void* fiber_base::operator new(std::size_t size, std::align_val_t alignment) {
    return ::operator new(size, alignment);
}

void fiber_base::operator delete(void* block, std::size_t /*size*/, std::align_val_t alignment) noexcept {
    ::operator delete(block, alignment);
}

void fiber_base::operator delete(void* block, std::size_t size) noexcept {
    if (sanitizer::enabled)
        return ::operator delete(block);
    if (loop* here = loop::current())
        here->blocks().deallocate(block, size);
    else
        block_pool::deallocate_elsewhere(block, size);
}

void spawn_fiber(fiber_base& fiber, const spawn_parameters& parameters) {
    return loop::spawn(fiber, parameters);
}

void cancel_fiber(fiber_base& fiber) noexcept {
    cancel(fiber);
}

void detach_fiber(fiber_base& fiber) noexcept {
    if (fiber.finished)
        discard(fiber);
    else
        fiber.has_handle = false;
}

void abandon_fiber(fiber_base& fiber) noexcept {
    const loop* here = loop::current_with_running_fiber(); // in the child of a fork(): drops it first
    if (!fiber.finished) {
        if (here && &here->running() == &fiber) {
            report(describe(fiber) + " destroys its own handle, which would wait for ever; detach() it first");
            std::abort();
        }
        if (fiber.owner->is_abandoned()) // with all its fibers: it is on no stack that will run again
            return;
        cancel_fiber(fiber);
        const cancellation_pause must_wait;
        wait_record record{wait_kind::join, &fiber};
        park_until_end(record, fiber, deadline::never());
        loop::current()->end_wait(record);
    }
    discard(fiber);
}

void rethrow_failure(fiber_base& ended) {
    take_over_exception_group(ended);
    std::rethrow_exception(std::move(ended.failure));
}

void throw_join_timed_out(const fiber_base& fiber) {
    throw std::system_error(std::make_error_code(std::errc::timed_out), "coir: join of " + describe(fiber));
}

void throw_not_joinable() {
    throw std::logic_error("coir: this handle has no fiber: it is empty, joined, detached or moved from");
}

} // namespace coir::detail
