#pragma once

#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/kept_result.hpp>
#include <coir/detail/shared_wait.hpp>
#include <coir/detail/single_use.hpp>
#include <coir/export.hpp>

#include <exception>
#include <utility>

namespace coir::detail {

/// A function that a thread of an offload_pool calls, and its outcome. Owned by the waiter; if that leaves while the call runs,
/// by the thread. The fields are guarded by the pool's mutex.
struct COIR_EXPORT offloaded_call : list_node {
    offloaded_call() = default;
    offloaded_call(const offloaded_call&) = delete;
    offloaded_call& operator=(const offloaded_call&) = delete;
    virtual ~offloaded_call();

    /// Calls the function, and destroys it.
    virtual void call() = 0;

    shared_wait* waiting = nullptr; ///< waits for the end; null: nobody does any more
    std::exception_ptr failure;     ///< written by the thread before `ended`
    bool ended = false;             ///< result or failure is there, and the thread does not touch it any more
};

/// With a result of type T.
template <class T, class Work> class offloaded_task final : public offloaded_call, public kept_result<T> {
public:
    template <class Function> explicit offloaded_task(Function&& function) : work_(std::forward<Function>(function)) {}

    void call() override {
        const typename single_use<Work>::call now{work_};
        this->keep_result_of(now.function());
    }

private:
    single_use<Work> work_;
};

} // namespace coir::detail
