#pragma once

#include "io/descriptor_table.hpp"
#include "io/file_ring.hpp"
#include "sched/loop_driver.hpp"

#include <atomic>
#include <ev.h>
#include <memory>

namespace coir::detail {

/// The driver of coir::run(): libev on epoll, whatever LIBEV_FLAGS says (hazard E7).
///
/// libev's timers are not used: they count whole milliseconds (hazard E4), and the scheduler has its own. A
/// timerfd wakes the loop for the earliest. While nothing happens it sleeps.
///
/// Descriptors made: libev's epoll, an eventfd, a timerfd, and once files are used a ring with its eventfd; all close-on-exec.
class ev_driver final : public loop_driver {
public:
    /// Throws std::system_error.
    ev_driver();
    ~ev_driver() override;

    [[nodiscard]] loop_time now() noexcept override;
    void run_once(loop_time until) override;
    bool wake_more() noexcept override;
    void notify() noexcept override;
    void continue_in_child() noexcept override;
    void abandon_in_child() noexcept override;

    /// To be called before something is registered with libev, in whichever way: what epoll refuses is told at once.
    void expect_refusals() noexcept;

    [[nodiscard]] descriptor_table& descriptors() noexcept { return descriptors_; }
    [[nodiscard]] struct ev_loop* events() const noexcept { return events_.get(); }

    /// Who carries out operations on files, made when first asked for. Null: threads do it.
    [[nodiscard]] file_ring* files() noexcept {
        if (!has_chosen_files_) [[unlikely]]
            choose_files();
        return files_.get();
    }

private:
    struct destroy_events {
        void operator()(struct ev_loop* events) const noexcept { ev_loop_destroy(events); }
    };

    /// A descriptor of the driver's own, with its watcher.
    struct source {
        explicit source(int made, const char* what);
        ~source();
        source(const source&) = delete;
        source& operator=(const source&) = delete;
        int number;
        ev_io watcher;
    };

    static void on_notify(struct ev_loop* events, ev_io* watcher, int what);
    static void on_timer(struct ev_loop* events, ev_io* watcher, int what);
    void register_sources();
    [[nodiscard]] bool watches_sources() const noexcept {
        return ev_is_active(&notification_.watcher) && ev_is_active(&timer_.watcher);
    }
    static void stay_awake_if_refused(struct ev_loop* events) noexcept;
    void set_timer(loop_time when) noexcept;
    void choose_files() noexcept;

    std::unique_ptr<struct ev_loop, destroy_events> events_;
    descriptor_table descriptors_;
    source notification_;
    source timer_;
    std::unique_ptr<file_ring> files_;
    bool has_chosen_files_ = false;
    loop_time armed_ = for_ever;        // when the timer will expire
    bool expired_ = false;              // and it has not been set or read since: still reports itself
    std::atomic<bool> notified_{false}; // by any thread; the eventfd has been written and not been read yet
};

/// The descriptors of a loop that runs on an ev_driver; no other has any.
[[nodiscard]] inline descriptor_table& descriptors_of(loop& here) noexcept {
    return static_cast<ev_driver&>(here.driver()).descriptors();
}

} // namespace coir::detail
