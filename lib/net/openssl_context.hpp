#pragma once

#include "net/openssl.hpp"
#include "net/tls_engine.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace coir::detail {

/// An SSL_CTX, and what its callbacks need. They know it by its address, hence the owner of every SSL keeps this as well.
class openssl_configuration final : public tls_configuration,
                                    public std::enable_shared_from_this<openssl_configuration> {
public:
    explicit openssl_configuration(const net::tls_client_options& options);
    explicit openssl_configuration(const net::tls_server_options& options);

    [[nodiscard]] bool is_server() const noexcept override { return is_server_; }
    [[nodiscard]] bool verifies() const noexcept override { return verifies_; }
    [[nodiscard]] ssl_ctx_st* native_handle() const noexcept override { return context_.get(); }
    void add_name(std::string_view name, std::shared_ptr<tls_configuration> other) override;
    [[nodiscard]] std::unique_ptr<tls_engine> make_client(tls_wire& wire, std::string_view host,
                                                          const tls_ticket* resumed) const override;
    [[nodiscard]] std::unique_ptr<tls_engine> make_server(tls_wire& wire) const override;

private:
    openssl_configuration(bool is_server, const std::vector<std::string>& protocols, net::tls_version minimum);

    void use(const net::tls_identity& identity);
    void trust(const net::tls_trust& authorities, bool else_system);
    static int choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* size,
                               const unsigned char* offered, unsigned offered_size, void* self) noexcept;
    static int choose_identity(SSL* ssl, int* alert, void* self) noexcept;

    ssl_ctx_pointer context_;
    const bool is_server_;
    bool verifies_ = false;
    std::string protocols_; // as they are sent: each with its length in front
    // By name in small letters; "*.example.org" as ".example.org".
    std::map<std::string, std::shared_ptr<tls_configuration>, std::less<>> names_;
};

} // namespace coir::detail
