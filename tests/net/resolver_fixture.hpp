#pragma once

#include "io/descriptors.hpp"
#include "net/dns_server.hpp"

#include <coir/coir.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <netdb.h>
#include <random>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

namespace coir::test {

using namespace std::chrono_literals;
using net::endpoint;
using net::resolver;
using net::resolver_errc;
using net::resolver_options;
using packets = std::vector<dns::packet>;

using names = descriptors;

// Of nothing but these servers.
inline resolver_options only(std::vector<endpoint> servers) {
    resolver_options made;
    made.servers = std::move(servers);
    made.timeout = 5s; // for machines that are busy; tests of silence set their own
    made.tries = 2;
    made.search.emplace();
    made.configuration = "/nonexistent";
    made.hosts_file = "/nonexistent";
    return made;
}
inline resolver_options only(const dns::server& server) {
    return only({server.where()});
}

// 10.x.y.z for "nXYZ…": the same for all types but IPv4.
inline std::string address_of(const std::string& name) {
    const unsigned number = static_cast<unsigned>(std::atoi(name.c_str() + 1));
    return "10." + std::to_string(number >> 16 & 255) + '.' + std::to_string(number >> 8 & 255) + '.' +
           std::to_string(number & 255);
}

inline packets numbered(const dns::query& asked) {
    return {asked.kind == dns::a ? dns::response{asked}.address(address_of(asked.name)) : dns::response{asked}};
}

inline std::vector<std::string> texts(const std::vector<endpoint>& endpoints) {
    std::vector<std::string> made;
    made.reserve(endpoints.size());
    for (const endpoint& each : endpoints)
        made.push_back(each.to_string());
    return made;
}
using list = std::vector<std::string>;

inline std::error_code failure_of(resolver& from, const std::string& name, deadline until = {}) {
    std::error_code error;
    EXPECT_TRUE(from.resolve(name, 1, error, {}, until).empty() == static_cast<bool>(error));
    return error;
}

} // namespace coir::test
