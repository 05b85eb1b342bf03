#include <coir/offload.hpp>

#include "base/diagnostic.hpp"
#include "base/made_once.hpp"
#include "sched/cancellation.hpp"
#include "sched/describe.hpp"
#include "sched/shared_wait.hpp"

#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/scope_state.hpp>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include <pthread.h>

/// \file
/// A call is made by one that waits and carried out by a thread, and both let go of it under the pool's mutex:
///
///     queued ──▶ running ──▶ ended        the waiter is notified, and takes the result
///        │          └──▶ abandoned        the waiter has left: the thread destroys what it was given
///        └──▶ withdrawn                   the waiter has left, and taken it with it
///
/// A call that is lent is never abandoned: its waiter waits on, with another record, which nothing but the end claims.
///
/// The waiter's record is claimed under the mutex as well. A claim that fails means that a deadline or a cancellation was
/// faster, and that the waiter is on its way to the mutex; when it gets there it finds that the call has ended, and so
/// delivers the result nevertheless.
///
/// fork() holds the mutexes of all pools, so that the child finds them whole. There they have neither threads nor calls, as when
/// they were made.
namespace coir {
namespace detail {

offloaded_call::~offloaded_call() = default;

namespace {

// Signals to the process go to threads that expect them. Those that a thread causes by itself stay as they are: blocked they
// would end the process without their handlers, among them those that report a stack overflow.
class signals_blocked {
public:
    signals_blocked() noexcept {
        sigset_t of_the_process;
        ::sigfillset(&of_the_process);
        for (const int own : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPROF, SIGSEGV, SIGSYS, SIGTRAP})
            ::sigdelset(&of_the_process, own);
        ::pthread_sigmask(SIG_BLOCK, &of_the_process, &before_);
    }
    ~signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    signals_blocked(const signals_blocked&) = delete;
    signals_blocked& operator=(const signals_blocked&) = delete;

private:
    sigset_t before_{};
};

[[noreturn]] void throw_not_waited(wake_reason why, const shared_wait& record) {
    if (why == wake_reason::cancelled)
        throw_cancelled(*record.owner, "offload");
    throw std::system_error(std::make_error_code(std::errc::timed_out), "coir: offload");
}

} // namespace
} // namespace detail

using detail::offloaded_call;

struct offload_pool::state : detail::list_node {
    explicit state(const offload_options& options);
    ~state();
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    void after_fork_in_child() noexcept;
    void enqueue(offloaded_call& call);
    detail::wake_reason wait_for(offloaded_call& call, detail::shared_wait& record, deadline until,
                                 std::unique_lock<std::mutex>& held);
    bool withdraw(offloaded_call& call) noexcept;
    [[nodiscard]] bool is_busy() noexcept {
        const std::lock_guard hold{mutex};
        return threads == most_threads && idle <= queued;
    }
    void work();
    void carry_out(std::unique_lock<std::mutex>& held, offloaded_call& call);

    const std::size_t most_threads;
    const std::string name; // as long as the system allows
    const std::chrono::nanoseconds idle_time;

    std::mutex mutex; // guards what follows, and the fields of all calls; never held while a fiber or a function waits
    std::condition_variable something_to_do;
    std::condition_variable all_ended;
    detail::intrusive_list<offloaded_call> queue;
    std::size_t queued = 0; // length of `queue`
    std::size_t threads = 0;
    std::size_t idle = 0; // of those
    bool closing = false;
};

namespace {

// Of the pool whose thread the calling one is.
constinit thread_local const void* pool_of_this_thread = nullptr;

} // namespace

/// All pools of the process, for fork().
struct offload_pool::registry {
    std::mutex mutex; // taken before those of the pools
    detail::intrusive_list<state> pools;

    void before_fork() noexcept {
        mutex.lock();
        pools.for_each([](state& pool) { pool.mutex.lock(); });
    }
    void after_fork_in_parent() noexcept {
        pools.for_each([](state& pool) { pool.mutex.unlock(); });
        mutex.unlock();
    }
    void after_fork_in_child() noexcept {
        pools.for_each([](state& pool) { pool.after_fork_in_child(); });
        mutex.unlock();
    }

    static registry all;
    static const int fork_handlers;
};

constinit offload_pool::registry offload_pool::registry::all;

[[maybe_unused]] const int offload_pool::registry::fork_handlers =
    ::pthread_atfork([] { all.before_fork(); }, [] { all.after_fork_in_parent(); }, [] { all.after_fork_in_child(); });

offload_pool::state::state(const offload_options& options)
    : most_threads(options.most_threads != 0 ? options.most_threads
                                             : std::max(std::thread::hardware_concurrency() + 1, 4U)),
      name(options.name.substr(0, 15)), idle_time(options.idle_time) {
    const std::lock_guard hold{registry::all.mutex};
    registry::all.pools.push_back(*this);
}

offload_pool::state::~state() {
    const std::lock_guard hold{registry::all.mutex};
    unlink();
}

// With the mutex held, by the only thread that there is. Who has made the calls is dropped, or was another thread's fiber.
void offload_pool::state::after_fork_in_child() noexcept {
    queue.for_each([](offloaded_call& call) { call.unlink(); });
    queued = threads = idle = 0;
    closing = false;
    std::construct_at(&something_to_do); // threads of the parent wait for them: these are not to be waited for
    std::construct_at(&all_ended);
    if (pool_of_this_thread == this)
        pool_of_this_thread = nullptr;
    mutex.unlock();
}

// With the mutex held. Who is idle may have been told of another call and be on its way; hence the comparison.
void offload_pool::state::enqueue(offloaded_call& call) {
    if (queued >= idle && threads < most_threads) {
        const detail::signals_blocked for_the_new_thread;
        try {
            std::thread([this] { work(); }).detach();
            ++threads;
        } catch (const std::system_error&) {
            if (threads == 0) // otherwise one of the others will come to it
                throw;
        }
    }
    queue.push_back(call);
    ++queued;
    something_to_do.notify_one();
}

// Waits for the end of the call, or for why not to wait any longer: then with the mutex held, and the call has not ended.
detail::wake_reason offload_pool::state::wait_for(offloaded_call& call, detail::shared_wait& record, deadline until,
                                                  std::unique_lock<std::mutex>& held) {
    record.begin();
    call.waiting = &record;
    held.lock();
    enqueue(call);
    held.unlock();
    record.park(until);
    const detail::wake_reason reason = record.end();
    if (reason == detail::wake_reason::notified)
        return reason;
    held.lock();
    return call.ended ? detail::wake_reason::notified : reason;
}

// With the mutex held. False: it runs already.
bool offload_pool::state::withdraw(offloaded_call& call) noexcept {
    if (!call.is_linked())
        return false;
    call.unlink();
    --queued;
    return true;
}

// What a thread does. The last that it does to the pool is to unlock the mutex.
void offload_pool::state::work() {
    pool_of_this_thread = this;
    ::pthread_setname_np(::pthread_self(), name.c_str());
    std::unique_lock held{mutex};
    for (++idle;; ++idle) {
        something_to_do.wait_until(held, deadline{idle_time}.time(), [this] { return queued != 0 || closing; });
        --idle;
        if (queued == 0)
            break;
        --queued;
        carry_out(held, queue.pop_front());
    }
    if (--threads == 0)
        all_ended.notify_all();
}

void offload_pool::state::carry_out(std::unique_lock<std::mutex>& held, offloaded_call& call) {
    held.unlock();
    std::exception_ptr failure;
    try {
        call.call();
    } catch (...) {
        failure = std::current_exception();
    }
    held.lock();
    if (call.waiting) {
        call.failure = std::move(failure);
        call.ended = true;
        detail::shared_wait& waiter = *call.waiting;
        if (claim(waiter, detail::wake_reason::notified))
            detail::deliver(waiter); // `call` may be gone from here on; with the mutex, so that its next finds us idle
        return;
    }
    held.unlock();
    if (failure)
        detail::report(
            [&] {
                return "a function on thread \"" + name +
                       "\" failed when nobody waited for it any more: " + detail::describe_failure(failure);
            },
            "an offloaded function failed when nobody waited for it any more");
    delete &call;
    failure = nullptr;
    held.lock();
}

offload_pool::offload_pool(const offload_options& options) : state_(std::make_unique<state>(options)) {}

offload_pool::~offload_pool() {
    std::unique_lock held{state_->mutex};
    state_->closing = true;
    state_->something_to_do.notify_all();
    state_->all_ended.wait(held, [this] { return state_->threads == 0; });
}

offload_pool& offload_pool::common() {
    return detail::made_once<[] { return std::make_unique<offload_pool>(); }>();
}

std::size_t offload_pool::thread_count() const {
    const std::lock_guard hold{state_->mutex};
    return state_->threads;
}

void offload_pool::run(std::unique_ptr<offloaded_call>& call, deadline until) {
    detail::loop* here = detail::loop::current_with_running_fiber();
    // All threads could wait like this one for each other. In a loop of its own the thread waits if another one is free.
    if (pool_of_this_thread == state_.get() && (!here || state_->is_busy()))
        return call->call();
    if (here && here->refuses())
        detail::throw_cancelled(here->running(), "offload");
    detail::shared_wait record{detail::wait_kind::offload, state_.get()};
    std::unique_lock held{state_->mutex, std::defer_lock};
    const detail::wake_reason reason = state_->wait_for(*call, record, until, held);
    if (reason == detail::wake_reason::notified)
        return;
    if (!state_->withdraw(*call)) {
        call->waiting = nullptr;
        static_cast<void>(call.release()); // to the thread
    }
    held.unlock();
    detail::throw_not_waited(reason, record);
}

detail::wake_reason offload_pool::lend(offloaded_call& call, deadline until) {
    detail::shared_wait record{detail::wait_kind::offload, state_.get()};
    std::unique_lock held{state_->mutex, std::defer_lock};
    const detail::wake_reason reason = state_->wait_for(call, record, until, held);
    if (reason == detail::wake_reason::notified || state_->withdraw(call))
        return reason;
    detail::shared_wait end{detail::wait_kind::offload, state_.get()};
    end.begin();
    call.waiting = &end;
    held.unlock();
    const detail::cancellation_pause until_it_has_ended;
    end.park(deadline::never());
    return end.end();
}

} // namespace coir
