#include "sched/describe.hpp"

#include <array>
#include <cstdint>
#include <cstdio>

namespace coir::detail {
namespace {

const char* activity(wait_kind kind) noexcept {
    switch (kind) {
    case wait_kind::sleep:
        return "sleeps";
    case wait_kind::join:
        return "joins ";
    case wait_kind::readable:
        return "waits to read from descriptor ";
    case wait_kind::writable:
        return "waits to write to descriptor ";
    case wait_kind::mutex:
        return "waits for the mutex ";
    case wait_kind::shared_mutex:
        return "waits for the shared mutex ";
    case wait_kind::condition_variable:
        return "waits for the condition variable ";
    case wait_kind::semaphore:
        return "waits for the semaphore ";
    case wait_kind::event:
        return "waits for the event ";
    case wait_kind::latch:
        return "waits for the latch ";
    case wait_kind::barrier:
        return "waits at the barrier ";
    case wait_kind::once:
        return "waits for the initialisation behind the once ";
    case wait_kind::future:
        return "waits for the future ";
    case wait_kind::send:
        return "sends into the channel ";
    case wait_kind::receive:
        return "receives from the channel ";
    case wait_kind::select:
        return "is in select()";
    case wait_kind::task_group:
        return "waits for the task group ";
    case wait_kind::offload:
        return "waits for a function on another thread";
    case wait_kind::lookup:
        return "waits for the answer of a name server";
    case wait_kind::file:
        return "waits for an operation on a file";
    case wait_kind::program:
        return "waits for the output of a program";
    }
    return "waits";
}

std::string in_hexadecimal(const void* address) {
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "%p", address);
    return text.data();
}

// Of a wait_record.
std::string object(wait_kind kind, const void* address) {
    switch (kind) {
    case wait_kind::sleep:
    case wait_kind::select:
    case wait_kind::offload:
    case wait_kind::lookup:
    case wait_kind::file:
    case wait_kind::program:
        return {};
    case wait_kind::readable:
    case wait_kind::writable:
        return std::to_string(reinterpret_cast<std::intptr_t>(address));
    case wait_kind::join:
        return describe(*static_cast<const fiber_base*>(address));
    default:
        return in_hexadecimal(address);
    }
}

} // namespace

std::string describe(const fiber_base& fiber) {
    std::string text = "fiber " + std::to_string(fiber.id);
    if (fiber.name)
        text += std::string{" \""} + fiber.name.get() + '"';
    return text;
}

std::string describe_state(const fiber_base& fiber) {
    if (fiber.finished)
        return "has ended";
    if (!fiber.stack)
        return "has not started";
    if (const wait_record* record = fiber.waiting)
        return describe_wait(*record);
    return "is ready to run";
}

std::string describe_wait(const wait_record& record) {
    return activity(record.kind) + object(record.kind, record.object);
}

std::string describe_failure(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "unknown exception";
    }
}

} // namespace coir::detail
