#pragma once

#include <functional>
#include <stdexcept>

#include <sys/socket.h>
#include <sys/types.h>

/// A child process that runs a function on one core, and a channel to it. It is killed when its owner goes, or when this
/// process does.
class pinned_process {
public:
    /// The function gets its end of the channel. What it throws is said on stderr, as of `name`; then, as when it returns,
    /// the process ends.
    pinned_process(const char* name, int core, const std::function<void(int channel)>& function);
    ~pinned_process();
    pinned_process(const pinned_process&) = delete;
    pinned_process& operator=(const pinned_process&) = delete;

    [[nodiscard]] pid_t id() const noexcept { return id_; }
    [[nodiscard]] int channel() const noexcept { return channel_; }

private:
    pid_t id_ = -1;
    int channel_ = -1;
};

/// Values through a channel. Throw std::runtime_error when the other process has ended.
template <class Value> void send_value(int channel, const Value& value) {
    if (::send(channel, &value, sizeof value, MSG_NOSIGNAL) != sizeof value)
        throw std::runtime_error{"a process of the benchmark has ended"};
}
template <class Value> [[nodiscard]] Value receive_value(int channel) {
    Value value;
    if (::recv(channel, &value, sizeof value, MSG_WAITALL) != sizeof value)
        throw std::runtime_error{"a process of the benchmark has ended"};
    return value;
}
