#include "base/thread_end.hpp"

#include "base/diagnostic.hpp"

#include <cstdlib>
#include <exception>

namespace coir::detail {

constinit thread_local const thread_end_guard* thread_end_guard::here_ = nullptr;

thread_end_guard::thread_end_guard(const void* what, description describe) noexcept
    : what_(what), describe_(describe), exceptions_(std::uncaught_exceptions()),
      has_key_(::pthread_key_create(&key_, [](void*) { die_of_thread_end(); }) == 0) {
    if (has_key_)
        ::pthread_setspecific(key_, this);
    here_ = this;
}

thread_end_guard::~thread_end_guard() {
    if (!is_dismissed_ && std::uncaught_exceptions() == exceptions_) // forced unwinding does not count as an exception
        die_of_thread_end();
    here_ = nullptr;
    if (has_key_)
        ::pthread_key_delete(key_);
}

void die_of_thread_end() noexcept {
    bounded_text text;
    text << "the thread is ended by pthread_exit() or cancellation inside ";
    if (const thread_end_guard* guard = thread_end_guard::here_)
        guard->describe_(guard->what_, text);
    else
        text << "a context, whose stack it cannot leave";
    report(text.view());
    std::abort();
}

} // namespace coir::detail
