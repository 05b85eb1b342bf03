#pragma once

#include "client_stream.hpp"
#include "exchange.hpp"
#include "service.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace http_server {

/// One client, served by one fiber in blocking style: wait for a request, answer it, again.
class connection {
public:
    connection(service& shared, client_stream stream);
    ~connection();
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    /// Serves until the client leaves, or may no longer stay. May suspend. Throws coir::cancelled only.
    void serve();

    /// Ends the wait for a further request, if that is what the fiber is doing. A request that has already arrived
    /// is still answered.
    void end_if_idle() noexcept;

    /// Ends whatever the fiber is waiting for, in the middle of an answer as well.
    void end_now() noexcept;

    /// Tells a client that there is no room, without waiting for it.
    static void turn_away(client_stream stream, this_second& now);

private:
    /// Of a request, most of which are smaller. On the stack, so that an idle connection needs no other memory.
    static constexpr std::size_t first_read = 1024;

    [[nodiscard]] bool welcome();
    [[nodiscard]] std::size_t wait_for_request(std::span<char> buffer);

    // The bool says whether the connection goes on.
    [[nodiscard]] bool answer_requests(exchange& work, std::string_view received);
    [[nodiscard]] bool answer(exchange& work, const request& asked);
    [[nodiscard]] bool answer_file(exchange& work, const request& asked, bool stays);
    [[nodiscard]] bool add_document(exchange& work, const request& asked, bool stays, http_status status,
                                    const document& what);
    [[nodiscard]] bool refuse(exchange& work, http_status status, bool with_body = true);
    [[nodiscard]] bool send_file(const coir::io::file& file, std::uint64_t size);
    void add(exchange& work, const request& asked, bool stays, http_status status, const content_pointer& text);
    void linger(exchange& work);
    [[nodiscard]] content_pointer status_page() const;

    service& shared_;
    client_stream stream_;
    bool idle_ = false;
};

} // namespace http_server
