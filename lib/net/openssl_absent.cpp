/// \file
/// The other side of tls_engine.hpp when coir is built without OpenSSL: there are no contexts, hence no connections.

#include "net/tls_engine.hpp"

namespace coir::detail {
namespace {

[[noreturn]] void refuse() {
    throw std::system_error(std::make_error_code(std::errc::function_not_supported),
                            "net::tls_context: this coir was built without OpenSSL");
}

} // namespace

std::shared_ptr<tls_configuration> make_tls_configuration(const net::tls_client_options&) {
    refuse();
}

std::shared_ptr<tls_configuration> make_tls_configuration(const net::tls_server_options&) {
    refuse();
}

std::string describe_tls_error(int code) {
    return "error " + std::to_string(code);
}

} // namespace coir::detail
