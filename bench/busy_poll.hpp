#pragma once

#include <chrono>
#include <span>

#include <sys/epoll.h>

/// How a load finds the connections on which an answer has come: epoll, asked again and again without ever sleeping.
///
/// If it slept, each answer after a pause would have to wake it, at the cost of the server that sends the answer: more than
/// the server's own work for a small request, and nothing that a client on another machine would ask for. Reports an
/// answer once (edge-triggered): who gets an event reads all there is.
class busy_poll {
public:
    busy_poll();
    ~busy_poll();
    busy_poll(const busy_poll&) = delete;
    busy_poll& operator=(const busy_poll&) = delete;

    /// `data` is what the events of `socket` will carry.
    void add(int socket, void* data);

    /// Some connections that have something to read; until the next call. Throws std::runtime_error after 5 s without any.
    std::span<epoll_event> wait();

    /// For how long wait() has found nothing: then the server was the limit, and not the load.
    [[nodiscard]] std::chrono::nanoseconds idle() const noexcept { return idle_; }

private:
    int epoll_;
    std::chrono::nanoseconds idle_{};
    epoll_event events_[256];
};
