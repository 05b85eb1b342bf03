#include <coir/resolver_errc.hpp>

#include "base/immortal.hpp"

#include <string>

namespace coir::net {
namespace {

class category final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "resolver"; }

    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<resolver_errc>(value)) {
        case resolver_errc::not_found:
            return "no such name";
        case resolver_errc::no_data:
            return "the name has no address of this kind";
        case resolver_errc::server_failure:
            return "the name servers could not find out";
        case resolver_errc::refused:
            return "the name servers refuse to answer";
        case resolver_errc::bad_response:
            return "the answer of the name server makes no sense";
        case resolver_errc::no_answer:
            return "no answer from the name servers";
        case resolver_errc::unreachable:
            return "no name server can be reached";
        case resolver_errc::bad_name:
            return "not a possible name";
        case resolver_errc::unknown_service:
            return "no such service";
        }
        return "unknown error";
    }

    [[nodiscard]] std::error_condition default_error_condition(int value) const noexcept override {
        switch (static_cast<resolver_errc>(value)) {
        case resolver_errc::not_found:
            return std::errc::no_such_device_or_address;
        case resolver_errc::no_data:
            return std::errc::address_not_available;
        case resolver_errc::server_failure: // as EAI_AGAIN
            return std::errc::resource_unavailable_try_again;
        case resolver_errc::refused:
            return std::errc::permission_denied;
        case resolver_errc::bad_response:
            return std::errc::bad_message;
        case resolver_errc::no_answer:
            return std::errc::timed_out;
        case resolver_errc::unreachable:
            return std::errc::host_unreachable;
        case resolver_errc::bad_name:
        case resolver_errc::unknown_service:
            return std::errc::invalid_argument;
        }
        return {value, *this};
    }
};

constinit const detail::immortal<category> instance;

} // namespace

const std::error_category& resolver_category() noexcept {
    return instance.object;
}

} // namespace coir::net
