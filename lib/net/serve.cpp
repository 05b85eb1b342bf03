#include <coir/serve.hpp>

#include "base/diagnostic.hpp"
#include "io/place.hpp"
#include "sched/describe.hpp"
#include "sched/loop.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/select.hpp>
#include <coir/semaphore.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

/// \file
/// Two fibers. The caller's waits for the word to stop, which for it includes its own cancellation. The other one accepts, and has
/// the task group of the handlers: what cancels the caller must not reach them before they have had their time.
///
///     caller:    wait ... stop, or cancelled  ->  stop()  ->  wait for the other, shielded
///     acceptor:  scope `handlers` {  task_group {  scope `accepting` { accept, spawn, … }   join  }  }
///
/// stop() cancels the scope `accepting`: whatever the acceptor waits for, a connection or a place, it goes on to the join. The
/// scope `handlers` gets its deadline then, and cancels the members that are left.
namespace coir::net {
namespace {

std::string name_of(const tcp_stream& peer) {
    return detail::name_of(peer.native_handle()); // also of one that has gone already
}

// The client's socket has hardly ever a name.
template <class Stream> std::string name_of(const Stream& peer) {
    const unix_endpoint remote = peer.remote_endpoint();
    if (!remote.is_unnamed())
        return remote.to_string();
    return "process " + std::to_string(peer.credentials().process) + " on " + peer.local_endpoint().to_string();
}

template <class Socket, class Name> std::string name_or(const Socket& socket, Name name, const char* otherwise) {
    try {
        return name(socket);
    } catch (const std::system_error&) { // the connection has ended already
        return otherwise;
    }
}

bool is_shortage(const std::error_code& error) noexcept {
    return error == std::errc::too_many_files_open || error == std::errc::too_many_files_open_in_system ||
           error == std::errc::not_enough_memory || error == std::errc::no_buffer_space;
}

using places = counting_semaphore<>;

/// The right to have one more connection.
class place {
public:
    explicit place(places& from) : from_(&from) { from.acquire(); }
    place(place&& other) noexcept : from_(std::exchange(other.from_, nullptr)) {}
    place& operator=(place&&) = delete;
    ~place() {
        if (from_)
            from_->release();
    }

private:
    places* from_;
};

template <class Listener, class Stream> class serving {
public:
    serving(Listener& listener, const std::function<void(Stream)>& handler, const serve_options& options)
        : listener_(listener), handler_(handler), options_(options),
          where_(name_or(
              listener, [](const Listener& of) { return of.local_endpoint().to_string(); }, "(closed)")),
          places_(static_cast<std::ptrdiff_t>(
              std::min<std::size_t>(options.max_connections, std::numeric_limits<std::ptrdiff_t>::max()))) {}

    [[nodiscard]] const std::string& where() const noexcept { return where_; }

    /// The acceptor's function.
    void run() {
        cancel_scope handlers;
        handlers.run([&] {
            task_group group;
            group.state.ignores_those_not_begun = true; // a connection more is no reason to end the others
            accept_until_stopped(group);
            handlers.expires_at(options_.drain);
            group.join();
        });
    }

    void stop() noexcept {
        stopped_ = true;
        if (accepting_)
            accepting_->cancel();
    }

private:
    // Whichever way it is left, the listener is closed and stop() finds no scope.
    void accept_until_stopped(task_group& group) {
        struct closing {
            ~closing() {
                self.accepting_ = nullptr;
                std::error_code ignored;
                self.listener_.close(ignored);
            }
            serving& self;
        };
        cancel_scope accepting;
        const closing at_the_end{*this};
        accepting_ = &accepting;
        if (stopped_)
            accepting.cancel();
        accepting.run([&] { accept_all(group); });
    }

    // Until it is cancelled, or the listener closed.
    void accept_all(task_group& group) {
        bool told = false;
        // accept() has waited after such a failure, so this is no loop without a pause. One of the group may look the same, and
        // would come for ever.
        const auto go_on_after_shortage = [&] {
            if (!group.state.failures.empty())
                throw;
            if (!std::exchange(told, true))
                tell(std::current_exception(), where_);
        };
        for (;;) {
            place taken{places_};
            tell_of_those_not_begun();
            Stream peer;
            try {
                peer = listener_.accept();
                told = false;
            } catch (const std::system_error& failure) {
                if (!listener_ || failure.code() == std::errc::bad_file_descriptor)
                    return;
                if (!is_shortage(failure.code()))
                    throw;
                go_on_after_shortage();
                continue;
            } catch (const std::bad_alloc&) { // for the message of such a failure
                go_on_after_shortage();
                continue;
            }
            welcome(group, std::move(peer), std::move(taken));
        }
    }

    // The function of a connection's fiber. If there is no stack for it to begin on, which spawn() cannot always know, it is
    // destroyed without having been called.
    class connection {
    public:
        connection(serving& self, std::string name, Stream peer, place taken)
            : self_(&self), name_(std::move(name)), peer_(std::move(peer)), taken_(std::move(taken)) {}
        connection(connection&& other) noexcept
            : self_(std::exchange(other.self_, nullptr)), name_(std::move(other.name_)), peer_(std::move(other.peer_)),
              taken_(std::move(other.taken_)) {}
        connection& operator=(connection&&) = delete;
        ~connection() {
            if (self_)
                ++self_->not_begun_;
        }
        void operator()() { std::exchange(self_, nullptr)->handle(std::move(peer_), name_); }

    private:
        serving* self_;
        std::string name_;
        Stream peer_;
        place taken_;
    };

    // Who notices that a fiber did not begin is not a fiber that could tell.
    void tell_of_those_not_begun() {
        for (; not_begun_ > 0; --not_begun_)
            tell(std::make_exception_ptr(std::system_error(std::make_error_code(std::errc::not_enough_memory),
                                                           "no stack for a connection, which is closed")),
                 where_);
    }

    void welcome(task_group& group, Stream peer, place taken) {
        std::string name;
        // This connection is closed, the others go on.
        const auto refuse = [&, not_begun_before = not_begun_] {
            not_begun_ = not_begun_before;
            tell(std::current_exception(), name);
        };
        try {
            name = name_or(
                peer, [](const Stream& of) { return name_of(of); }, "a peer that has gone");
            const shield although_stopped; // who has been accepted is served
            const fiber_options options{.name = name, .stack_size = options_.stack_size};
            group.spawn(options, connection{*this, name, std::move(peer), std::move(taken)});
        } catch (const std::system_error&) { // no stack for one more
            refuse();
        } catch (const std::bad_alloc&) {
            refuse();
        }
    }

    void handle(Stream peer, const std::string& name) const {
        try {
            handler_(std::move(peer));
        } catch (const cancelled&) {
            throw;
        } catch (const std::system_error& failure) {
            // Else it has been told to end by an error code, and has passed that on.
            if (failure.code() != std::errc::operation_canceled || !this_fiber::cancel_requested())
                tell(std::current_exception(), name);
        } catch (...) {
            tell(std::current_exception(), name);
        }
    }

    void tell(const std::exception_ptr& failure, const std::string& endpoint) const {
        if (options_.on_error)
            options_.on_error(failure, endpoint);
        else
            detail::report([&] { return "net::serve: " + endpoint + ": " + detail::describe_failure(failure); },
                           "net::serve: a handler failed");
    }

    Listener& listener_;
    const std::function<void(Stream)>& handler_;
    const serve_options& options_;
    const std::string where_;
    places places_;
    cancel_scope* accepting_ = nullptr; // while the acceptor is in it
    bool stopped_ = false;
    std::size_t not_begun_ = 0; // connections since the acceptor has told of them
};

template <class Listener, class Stream>
void serve_on(Listener& listener, const std::function<void(Stream)>& handler, const serve_options& options) {
    if (options.max_connections == 0)
        throw std::invalid_argument("coir: net::serve with max_connections = 0 could never accept");
    if (!handler)
        throw std::invalid_argument("coir: net::serve with an empty handler could never call it");
    static_cast<void>(detail::loop::of_running_fiber("net::serve"));
    if (!listener)
        throw std::system_error(std::make_error_code(std::errc::bad_file_descriptor), "net::serve");
    serving<Listener, Stream> work{listener, handler, options};
    fiber<void> acceptor = spawn(fiber_options{.name = "serve " + work.where()}, [&work] { work.run(); });
    try {
        if (!options.stop || select(ended(acceptor), is_set(*options.stop)) == 1) {
            if (options.stop)
                work.stop();
            acceptor.wait();
        }
    } catch (...) { // cancelled, or by the failure of a task group that the caller has opened
        work.stop();
        const shield until_the_handlers_have_ended;
        acceptor.wait();
        throw;
    }
    acceptor.join();
}

} // namespace

void serve(tcp_listener& listener, const std::function<void(tcp_stream)>& handler, const serve_options& options) {
    serve_on(listener, handler, options);
}

void serve(unix_listener& listener, const std::function<void(unix_stream)>& handler, const serve_options& options) {
    serve_on(listener, handler, options);
}

void serve(unix_seqpacket_listener& listener, const std::function<void(unix_seqpacket)>& handler,
           const serve_options& options) {
    serve_on(listener, handler, options);
}

} // namespace coir::net
