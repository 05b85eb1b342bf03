#pragma once

#include <cstdint>
#include <mutex>

/// Two players, 0 and 1, that pass a ball to each other: a mutex, a condition variable, and whose turn it is.
template <class Mutex, class ConditionVariable> class ping_pong {
public:
    /// What `player` does: waits for the ball, calls `think()`, and passes the ball on, `times` times.
    template <class Think> void play(int player, std::int64_t times, Think think) {
        std::unique_lock lock{mutex_};
        for (std::int64_t i = 0; i < times; ++i) {
            changed_.wait(lock, [this, player] { return next_ == player; });
            think();
            next_ = 1 - player;
            changed_.notify_one();
        }
    }

    void play(int player, std::int64_t times) {
        play(player, times, [] {});
    }

private:
    Mutex mutex_;
    ConditionVariable changed_;
    int next_ = 0; // guarded by mutex_
};
