#include <coir/tls_context.hpp>

#include "net/tls_engine.hpp"

#include <stdexcept>

namespace coir::net {

tls_context::tls_context(std::shared_ptr<detail::tls_configuration> made) noexcept : configuration_(std::move(made)) {}

tls_context tls_context::client(const tls_client_options& options) {
    return tls_context{detail::make_tls_configuration(options)};
}

tls_context tls_context::server(const tls_server_options& options) {
    const tls_identity& own = options.identity;
    if ((own.certificate_file.empty() && own.certificate_pem.empty()) || (own.key_file.empty() && own.key_pem.empty()))
        throw std::invalid_argument("net::tls_context::server: a server needs a certificate and its key");
    return tls_context{detail::make_tls_configuration(options)};
}

void tls_context::add_name(std::string_view name, const tls_context& other) {
    if (!is_server() || !other.is_server())
        throw std::invalid_argument("net::tls_context::add_name: both have to be contexts of servers");
    configuration_->add_name(name, other.configuration_);
}

bool tls_context::is_server() const noexcept {
    return configuration_->is_server();
}

ssl_ctx_st* tls_context::native_handle() const noexcept {
    return configuration_->native_handle();
}

} // namespace coir::net
