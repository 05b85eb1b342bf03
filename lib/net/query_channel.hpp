#pragma once

#include "net/lookup.hpp"
#include "sched/loop_driver.hpp"

#include <coir/descriptor.hpp>
#include <coir/resolver.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <system_error>
#include <vector>

struct ares_addrinfo;
struct ares_channeldata;

namespace coir::detail {

class resolver_state;

/// Sockets to DNS servers, and the questions that are open there. query_channel.cpp drives c-ares; query_channel_absent.cpp, in a
/// library without it, cannot be made.
class query_channel : public std::enable_shared_from_this<query_channel> {
public:
    /// So many questions of one channel, each of them two packets, and the answers fit into the buffer of its socket, though
    /// they may all come while other fibers run.
    static constexpr std::size_t usual_questions = 200;
    /// Beyond this c-ares looks for unused ids for too long, or for ever: there are 65,536.
    static constexpr std::size_t most_questions = 10'000;
    /// So many questions leave from one port, and for so long. Who knows the port of a question, and forges an answer, has only
    /// its 16-bit id to guess (RFC 5452). c-ares takes a new port when nothing is open, which with a busy thread may never be.
    static constexpr std::size_t questions_of_a_port = 400;
    static constexpr std::chrono::nanoseconds life_of_a_port = std::chrono::minutes{1};

    /// Reads the configuration. Throws std::system_error.
    query_channel(resolver_state& owner, const net::resolver_options& options);
    ~query_channel();
    query_channel(const query_channel&) = delete;
    query_channel& operator=(const query_channel&) = delete;

    /// Puts a question, which stays valid until it has been handed to resolver_state::finish(): perhaps at once. Throws what
    /// spawn() throws; then it has not been put.
    void ask(lookup& asked, loop_time now);

    /// Somebody waits for an answer from here, or has given up waiting for it.
    void enter() noexcept { ++awaited_; }
    void leave() noexcept {
        --awaited_;
        close_if_unwanted();
    }
    /// Closes it when there are open questions and nobody waits for any of them. Not to be called by what c-ares calls.
    void close_if_unwanted() noexcept {
        if (awaited_ == 0 && open_ > 0)
            close();
    }

    /// Gives up all questions, and the sockets. Tells resolver_state::idle().
    void close() noexcept;

    /// Its port has been in use for long enough. Never of one without open questions.
    [[nodiscard]] bool is_worn_out(loop_time now) const noexcept {
        return open_ > 0 && (from_this_port_ >= questions_of_a_port || now - port_since_ >= life_of_a_port.count());
    }

    /// It is not to be given further questions, and ends when those that are open have.
    void retire() noexcept {
        is_retired_ = true;
        if (open_ == 0)
            close();
    }
    [[nodiscard]] bool is_retired() const noexcept { return is_retired_; }

    /// In a process, or after a loop, in which nobody drives it: lets go of what the system knows of it, and of nothing else.
    void forget() noexcept;

    [[nodiscard]] std::size_t open() const noexcept { return open_; }
    [[nodiscard]] bool is_closed() const noexcept { return channel_ == nullptr; }

private:
    static void on_addresses(void* asked, int status, int timeouts, ares_addrinfo* found) noexcept;
    static void on_name(void* asked, int status, int timeouts, unsigned char* packet, int size) noexcept;
    struct sockets;
    class driver;

    void begin();
    void query(lookup& asked, const char* name) noexcept;
    [[nodiscard]] bool goes_on(lookup& asked, int status);
    [[nodiscard]] std::vector<std::string> search_list_behind(const std::string& name,
                                                              const std::string& failing) const;
    [[nodiscard]] bool remember(int number) noexcept;
    void drive() noexcept;
    void look_at_sockets() noexcept;
    void fail(std::error_code error) noexcept;
    void finish(lookup& asked, std::shared_ptr<answer> found, long time_to_live) noexcept;
    [[nodiscard]] std::error_code error_of(const lookup& asked, int status) const noexcept;
    void note_refusal(const unsigned char* packet, std::size_t size) noexcept;

    resolver_state& owner_;
    ares_channeldata* channel_ = nullptr;
    io::descriptor ready_;     // an epoll that has all sockets; there is none while nothing is open
    std::vector<int> sockets_; // for forget()
    const std::chrono::milliseconds longest_wait_;
    const std::shared_ptr<const answer> without_memory_;
    std::size_t open_ = 0;
    std::size_t awaited_ = 0;        // of those: some fiber waits for it. Unless c-ares is at work: 0 only if open_ is
    std::size_t from_this_port_ = 0; // questions, since the last time that none was open
    loop_time port_since_ = 0;
    bool is_retired_ = false;
    bool is_driven_ = false;         // drive() has been spawned and has not ended
    std::error_code closing_{};      // what becomes of the questions that are open when it is closed
    std::error_code socket_error_{}; // why the last socket could not be made
};

} // namespace coir::detail
