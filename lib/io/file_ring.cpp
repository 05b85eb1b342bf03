#include "io/file_ring.hpp"

#include "io/operation.hpp"

#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/scope_state.hpp>
#include <coir/detail/wait_record.hpp>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <ev.h>
#include <fcntl.h>
#include <liburing.h>
#include <new>
#include <string_view>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

#ifdef COIR_VALGRIND
#include <valgrind/valgrind.h>
#endif

/// \file
/// An operation is on the stack of the fiber that waits for it, as a ring_call:
///
///     queued ──submit()──▶ started ──completion──▶ ended          the waiter is woken, unless it is awake for another reason
///        │                    │                      ▲
///        └──▶ withdrawn       └──▶ asked to end ─────┘            the waiter has been cancelled, or its deadline has passed
///
/// The kernel may write to the fiber's memory while an operation is started, so a waiter never leaves before it has ended:
/// it asks the kernel to cancel, and waits on, with a second record that nothing else can claim. What then comes tells whether
/// the operation was carried out; if so that is the result, and nobody speaks of the deadline.
///
/// Submission: once a pass of the loop, before it polls, all that was asked for in that pass, by one system call. What
/// the kernel can do at once (a write that needs no disk) has ended by then and is taken at once. For the rest an
/// eventfd, which the loop watches, says that something has ended.
///
/// Neither ring overflows: operations are started only as long as there is room for their completions and for those of their
/// cancellations; the others stay queued. So no completion is lost, whatever the kernel does with too many.
namespace coir::detail {
namespace {

constexpr unsigned submission_entries = 128;
constexpr unsigned completion_entries = 1024;

bool threads_are_asked_for() noexcept {
    const char* const wish = std::getenv("COIR_FILES"); // NOLINT(concurrency-mt-unsafe)
    return wish && std::string_view{wish} == "threads";
}

// It does not follow what the kernel writes on behalf of a ring.
bool is_on_valgrind() noexcept {
#ifdef COIR_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

// -1: there is none.
int opcode(file_operation::call what) noexcept {
    switch (what) {
    case file_operation::call::open:
        return IORING_OP_OPENAT;
    case file_operation::call::close:
        return IORING_OP_CLOSE;
    case file_operation::call::read:
        return IORING_OP_READV;
    case file_operation::call::write:
        return IORING_OP_WRITEV;
    case file_operation::call::sync:
    case file_operation::call::sync_data:
        return IORING_OP_FSYNC;
    case file_operation::call::status:
        return IORING_OP_STATX;
    case file_operation::call::allocate:
        return IORING_OP_FALLOCATE;
    case file_operation::call::rename:
        return IORING_OP_RENAMEAT;
    case file_operation::call::remove:
        return IORING_OP_UNLINKAT;
    case file_operation::call::create_directory:
        return IORING_OP_MKDIRAT;
    case file_operation::call::truncate: // there is one since Linux 6.9, which liburing does not know yet
        break;
    }
    return -1;
}

void prepare(io_uring_sqe& entry, const file_operation& operation) noexcept {
    const auto piece_count = static_cast<unsigned>(operation.piece_count);
    switch (operation.what) {
    case file_operation::call::open:
        ::io_uring_prep_openat(&entry, AT_FDCWD, operation.path, operation.flags, operation.mode);
        break;
    case file_operation::call::close:
        ::io_uring_prep_close(&entry, operation.number);
        entry.flags |= IOSQE_ASYNC; // else the loop's thread frees the blocks of a file that has been removed
        break;
    case file_operation::call::read:
        ::io_uring_prep_readv(&entry, operation.number, operation.pieces, piece_count, operation.offset);
        break;
    case file_operation::call::write:
        ::io_uring_prep_writev(&entry, operation.number, operation.pieces, piece_count, operation.offset);
        break;
    case file_operation::call::sync:
        ::io_uring_prep_fsync(&entry, operation.number, 0);
        break;
    case file_operation::call::sync_data:
        ::io_uring_prep_fsync(&entry, operation.number, IORING_FSYNC_DATASYNC);
        break;
    case file_operation::call::status:
        ::io_uring_prep_statx(&entry, operation.number, operation.path, operation.flags,
                              STATX_BASIC_STATS | STATX_BTIME, operation.status);
        break;
    case file_operation::call::allocate:
        ::io_uring_prep_fallocate(&entry, operation.number, 0, static_cast<off_t>(operation.offset),
                                  static_cast<off_t>(operation.length));
        break;
    case file_operation::call::rename:
        ::io_uring_prep_renameat(&entry, AT_FDCWD, operation.path, AT_FDCWD, operation.second_path, 0);
        break;
    case file_operation::call::remove:
        ::io_uring_prep_unlinkat(&entry, AT_FDCWD, operation.path, operation.flags);
        break;
    case file_operation::call::create_directory:
        ::io_uring_prep_mkdirat(&entry, AT_FDCWD, operation.path, operation.mode);
        break;
    case file_operation::call::truncate:
        break;
    }
    if (operation.bytes > most_copied_by_loop)
        entry.flags |= IOSQE_ASYNC; // else it is copied in submit() if it is in the page cache
}

// A signal, or a cancellation, has ended the wait of one of the kernel's workers. Beside EINTR there are codes that other
// system calls never show: the kernel makes a restart out of them (ERESTARTSYS and its like).
bool was_interrupted(std::int64_t result) noexcept {
    constexpr std::int64_t first_restart = -512;
    constexpr std::int64_t last_restart = -516;
    return result == -EINTR || (result <= first_restart && result >= last_restart);
}

// How often an operation is given to the kernel again that has cancelled it of its own accord. It does that with what waits for a
// worker when it cannot make one: for good reasons, but also when a signal comes in between (io-wq of Linux 6).
constexpr int most_refusals = 20;

struct ring_wait;

struct ring_call {
    file_operation& operation;
    ring_wait* waiting = nullptr;
    bool started = false; ///< the kernel has it, or will be given it
    bool ended = false;   ///< operation.result is there
};

struct ring_wait final : wait_record {
    explicit ring_wait(ring_call& waited_for) noexcept : wait_record(wait_kind::file, nullptr), call(waited_for) {
        call.waiting = this;
    }
    ring_call& call;
};

class uring final : public file_ring {
public:
    explicit uring(struct ev_loop* events) noexcept : events_(events) {}
    ~uring() override;

    /// False: this kernel, or this process, cannot have it.
    [[nodiscard]] bool open() noexcept;

    [[nodiscard]] bool knows(file_operation::call what) const noexcept override {
        return known_[static_cast<std::size_t>(what)];
    }
    int carry_out(loop& here, file_operation& operation, deadline until) noexcept override;
    [[nodiscard]] bool submit() noexcept override;
    [[nodiscard]] bool is_stuck() const noexcept override {
        return ::io_uring_sq_ready(&ring_) != 0 || (is_deaf_ && expected_ != 0);
    }
    void abandon_in_child() noexcept override;

private:
    static void on_event(struct ev_loop* events, ev_io* watcher, int what);

    [[nodiscard]] bool probe() noexcept;
    [[nodiscard]] io_uring_sqe* next_entry() noexcept;
    void enter_kernel() noexcept;
    [[nodiscard]] bool take_completions() noexcept;

    struct ev_loop* const events_;
    io_uring ring_{};
    bool is_open_ = false;
    bool is_deaf_ = false; // epoll would not take the eventfd
    int event_ = -1;       // written by the kernel when something has ended
    ev_io watcher_{};
    std::array<bool, static_cast<std::size_t>(file_operation::call::create_directory) + 1> known_{};
    intrusive_list<ring_wait> queued_;   // to be started
    intrusive_list<ring_wait> unwanted_; // started, to be cancelled
    unsigned in_flight_ = 0;             // operations that are started and have not ended
    unsigned expected_ = 0;              // completions that are to come, of those and of cancellations
};

bool uring::open() noexcept {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_CQSIZE;
    parameters.cq_entries = completion_entries;
    // ENOSYS, EPERM (seccomp, io_uring_disabled), EINVAL (before Linux 5.5), ENOMEM (locked memory), EMFILE
    if (::io_uring_queue_init_params(submission_entries, &ring_, &parameters) != 0)
        return false;
    is_open_ = true;
    event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_ == -1 || !probe() || ::io_uring_register_eventfd(&ring_, event_) != 0)
        return false;
    ev_io_init(&watcher_, on_event, event_, EV_READ);
    watcher_.data = this;
    ev_io_start(events_, &watcher_);
    return true;
}

// What a kernel does not know is left to threads; but without these it is not worth having.
bool uring::probe() noexcept {
    io_uring_probe* const found = ::io_uring_get_probe_ring(&ring_);
    if (!found)
        return false;
    for (std::size_t i = 0; i < known_.size(); ++i) {
        const int code = opcode(static_cast<file_operation::call>(i));
        known_[i] = code != -1 && ::io_uring_opcode_supported(found, code) != 0;
    }
    const bool can_cancel = ::io_uring_opcode_supported(found, IORING_OP_ASYNC_CANCEL) != 0;
    ::io_uring_free_probe(found);
    return can_cancel && knows(file_operation::call::read) && knows(file_operation::call::write) &&
           knows(file_operation::call::sync);
}

// Also in the child of a fork(): then waiters are left that do not exist any more. All of it concerns this process only, and the
// parent's ring stays as it is.
uring::~uring() {
    for (intrusive_list<ring_wait>* const waiters : {&queued_, &unwanted_})
        while (!waiters->empty())
            waiters->pop_front();
    ev_io_stop(events_, &watcher_);
    if (is_open_)
        ::io_uring_queue_exit(&ring_);
    if (event_ != -1)
        ::close(event_);
}

void uring::abandon_in_child() noexcept {
    ::close(ring_.ring_fd);
    ::close(event_);
}

int uring::carry_out(loop& here, file_operation& operation, deadline until) noexcept {
    for (int refusals = 0;;) {
        ring_call call{operation};
        ring_wait wait{call};
        queued_.push_back(wait);
        const wake_reason reason = here.wait(wait, until);
        const int unwanted = reason == wake_reason::timed_out ? ETIMEDOUT : was_cancelled;
        if (!call.ended) {
            if (!call.started)
                return unwanted;
            ring_wait last{call};
            unwanted_.push_back(last);
            const cancellation_pause until_it_has_ended;
            here.wait(last, deadline::never());
            if (operation.result == -ECANCELED || was_interrupted(operation.result))
                return unwanted;
        }
        if (operation.result == -ECANCELED) { // by the kernel: nothing has happened
            if (++refusals <= most_refusals)
                continue;
            const bool closes = operation.what == file_operation::call::close; // must not fail to
            operation.result = !closes ? -EAGAIN : ::close(operation.number) == 0 ? 0 : -errno;
            return 0;
        }
        // A worker of the kernel can be interrupted by what is no business of ours.
        if (!was_interrupted(operation.result))
            return 0;
        if (operation.what == file_operation::call::close) { // that has closed it nevertheless
            operation.result = 0;
            return 0;
        }
    }
}

io_uring_sqe* uring::next_entry() noexcept {
    if (io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_))
        return entry;
    enter_kernel();
    return ::io_uring_get_sqe(&ring_);
}

// All that is in the submission ring; what the kernel will not have now stays there.
void uring::enter_kernel() noexcept {
    while (::io_uring_sq_ready(&ring_) != 0) {
        const int taken = ::io_uring_submit(&ring_);
        if (taken <= 0 && taken != -EINTR)
            return;
    }
}

bool uring::submit() noexcept {
    while (!unwanted_.empty()) {
        if (unwanted_.front().call.ended) {
            unwanted_.pop_front();
            continue;
        }
        io_uring_sqe* const entry = next_entry();
        if (!entry)
            break;
        ring_call& call = unwanted_.pop_front().call;
        ::io_uring_prep_cancel(entry, &call, 0);
        ::io_uring_sqe_set_data(entry, nullptr);
        ++expected_;
    }
    while (!queued_.empty() && expected_ + in_flight_ + 2 <= completion_entries) {
        if (queued_.front().reason.load(std::memory_order_relaxed) != wake_reason::none) {
            queued_.pop_front(); // cancelled, or too late, and has not run since
            continue;
        }
        io_uring_sqe* const entry = next_entry();
        if (!entry)
            break;
        ring_call& call = queued_.pop_front().call;
        prepare(*entry, call.operation);
        ::io_uring_sqe_set_data(entry, &call);
        call.started = true;
        ++in_flight_;
        ++expected_;
    }
    enter_kernel();
    return take_completions();
}

bool uring::take_completions() noexcept {
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
        ++count;
        auto* const call = static_cast<ring_call*>(::io_uring_cqe_get_data(completion));
        if (!call)
            continue; // of a cancellation; what came of it, the operation itself tells
        call->operation.result = completion->res;
        call->ended = true;
        --in_flight_;
        loop::current()->wake(*call->waiting, wake_reason::notified);
    }
    ::io_uring_cq_advance(&ring_, count);
    expected_ -= count;
    return count != 0;
}

// libev's own stack: nothing here may switch or throw.
void uring::on_event(struct ev_loop*, ev_io* watcher, int what) {
    auto& self = *static_cast<uring*>(watcher->data);
    if (what & EV_ERROR) [[unlikely]] {
        self.is_deaf_ = true; // the user's limit of watches: the loop looks by itself now and then
        return;
    }
    // Read first: what ends after the look below makes it readable again.
    std::uint64_t ended = 0;
    while (::read(self.event_, &ended, sizeof ended) == -1 && errno == EINTR) {}
    static_cast<void>(self.take_completions());
}

} // namespace

std::unique_ptr<file_ring> file_ring::make(struct ev_loop* events) noexcept {
    if (threads_are_asked_for() || is_on_valgrind())
        return nullptr;
    std::unique_ptr<uring> made{new (std::nothrow) uring{events}};
    if (!made || !made->open())
        return nullptr;
    return made;
}

} // namespace coir::detail
