#include <coir/detail/future_state.hpp>

#include <coir/detail/scope_state.hpp>

#include <new>
#include <system_error>

namespace coir::detail {

void throw_future_error(std::future_errc error) {
    throw std::future_error(error);
}

std::exception_ptr broken_promise() noexcept {
    try {
        return std::make_exception_ptr(std::future_error(std::future_errc::broken_promise)); // it has a message
    } catch (const std::bad_alloc&) {
        return std::current_exception();
    }
}

void future_state::begin_result() {
    if (is_satisfied_.exchange(true, std::memory_order_acq_rel))
        throw_future_error(std::future_errc::promise_already_satisfied);
}

void future_state::break_promise() noexcept {
    if (is_satisfied_.exchange(true, std::memory_order_acq_rel))
        return;
    fail(broken_promise());
    publish();
}

void future_state::retrieve() {
    if (is_retrieved_.exchange(true, std::memory_order_relaxed))
        throw_future_error(std::future_errc::future_already_retrieved);
}

void future_state::wait_uninterrupted() noexcept {
    const cancellation_pause in_peace;
    wait(deadline::never());
}

void future_state::wait_for_result(deadline until) {
    if (!wait(until))
        throw std::system_error(std::make_error_code(std::errc::timed_out), "coir: future::get");
}

} // namespace coir::detail
