#include "base/diagnostic.hpp"
#include "base/throw_cancelled.hpp"
#include "sched/describe.hpp"
#include "sched/loop.hpp"

#include <coir/cancelled.hpp>

#include <stdexcept>
#include <string>
#include <system_error>

namespace coir::detail {
namespace {

[[noreturn]] void throw_wrong_joiner(const loop& here, const fiber_base& fiber) {
    if (&here.running() == &fiber)
        throw std::logic_error("coir: " + describe(fiber) + " cannot join itself: it would wait for ever");
    throw std::logic_error("coir: " + describe(fiber) + " belongs to the loop of another thread: join it there");
}

// Frees an ended fiber whose result nobody has asked for. A failure is not lost without a word.
void discard(fiber_base& fiber) noexcept {
    if (fiber.failure) {
        try {
            std::rethrow_exception(std::move(fiber.failure));
        } catch (const cancelled&) { // what was asked for
        } catch (const std::exception& lost) {
            report(describe(fiber) + " failed and was never joined: " + lost.what());
        } catch (...) {
            report(describe(fiber) + " failed and was never joined: unknown exception");
        }
    }
    delete &fiber;
}

} // namespace

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

std::string describe(const fiber_base& fiber) {
    std::string text = "fiber " + std::to_string(fiber.id);
    if (fiber.name)
        text += std::string{" \""} + fiber.name.get() + '"';
    return text;
}

void spawn_fiber(fiber_base& fiber, const spawn_parameters& parameters) {
    loop::of_running_fiber("spawn()").spawn(fiber, parameters);
}

void park_until_end(wait_record& record, fiber_base& fiber, deadline until) {
    loop& here = loop::of_running_fiber("fiber::join()");
    if (&here.running() == &fiber || &here != fiber.owner) [[unlikely]]
        throw_wrong_joiner(here, fiber);
    if (fiber.finished) { // since the caller looked: in the child of a fork() the first line has dropped it
        record.reason = wake_reason::notified;
        return;
    }
    fiber.joiners.push_back(record);
    return here.park(record, until);
}

bool end_join(wait_record& record) {
    const wake_reason reason = record.owner->owner->end_wait(record);
    if (reason == wake_reason::cancelled)
        throw_cancelled();
    return reason == wake_reason::notified;
}

void cancel_fiber(fiber_base& fiber) noexcept {
    if (!fiber.finished)
        fiber.owner->cancel(fiber);
}

void detach_fiber(fiber_base& fiber) noexcept {
    if (fiber.finished)
        discard(fiber);
    else
        fiber.has_handle = false;
}

void abandon_fiber(fiber_base& fiber) noexcept {
    (void)loop::current(); // in the child of a fork(): drops it first
    if (!fiber.finished) {
        cancel_fiber(fiber);
        loop& here = loop::of_running_fiber("~fiber()");
        const cancellation_disabled_scope must_wait{here.running()};
        wait_record record{wait_kind::join, &fiber};
        park_until_end(record, fiber, deadline::never());
        here.end_wait(record);
    }
    discard(fiber);
}

void throw_join_timed_out(const fiber_base& fiber) {
    throw std::system_error(std::make_error_code(std::errc::timed_out), "coir: join of " + describe(fiber));
}

void throw_not_joinable() {
    throw std::logic_error("coir: this handle has no fiber: it is empty, joined, detached or moved from");
}

} // namespace coir::detail
