#include <coir/tls_error.hpp>

#include "base/immortal.hpp"
#include "net/tls_engine.hpp"

namespace coir::net {
namespace {

class category final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "tls"; }
    [[nodiscard]] std::string message(int code) const override {
        if (code == static_cast<int>(tls_errc::truncated))
            return "the connection ended without close_notify: truncated";
        if (code == static_cast<int>(tls_errc::flooded))
            return "the peer sends messages of TLS without end, but no data: flooded";
        return detail::describe_tls_error(code);
    }
};

constinit const detail::immortal<category> only;

} // namespace

const std::error_category& tls_category() noexcept {
    return only.object;
}

} // namespace coir::net
