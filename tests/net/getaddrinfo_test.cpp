// The resolver beside getaddrinfo(3): with the configuration of this machine, and with one of the test's own.
#include "net/loopback.hpp"
#include "net/resolver_fixture.hpp"
#include "scratch_file.hpp"

#include <array>
#include <iostream>
#include <map>
#include <sched.h>
#include <set>
#include <sys/mount.h>
#include <utility>

namespace coir::test {
namespace {

// What getaddrinfo() finds, in its order; nothing if that is an error.
list by_getaddrinfo(const std::string& name, net::address_family family) {
    addrinfo hints{};
    hints.ai_family = family == net::address_family::any  ? AF_UNSPEC
                      : family == net::address_family::v4 ? AF_INET
                                                          : AF_INET6;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    list made;
    if (::getaddrinfo(name.c_str(), "80", &hints, &found) != 0)
        return made;
    for (const addrinfo* each = found; each; each = each->ai_next)
        made.push_back(endpoint::from_native(each->ai_addr, each->ai_addrlen).to_string());
    ::freeaddrinfo(found);
    return made;
}

list by_coir(resolver& from, const std::string& name, net::address_family family) {
    std::error_code error;
    return texts(from.resolve(name, "http", error, {family}));
}

constexpr std::array families{net::address_family::any, net::address_family::v4, net::address_family::v6};

TEST_F(names, as_getaddrinfo) {
    std::vector<std::string> all{"localhost", "127.0.0.1", "::1", "0x7f.1", "127.1", "2130706433"};
    std::array<char, 256> own{};
    ::gethostname(own.data(), own.size() - 1);
    all.emplace_back(own.data());
    std::ifstream hosts{"/etc/hosts"};
    for (std::string line; std::getline(hosts, line);) {
        std::istringstream words{line.substr(0, line.find('#'))};
        std::string word;
        for (words >> word; words >> word;)
            all.push_back(word);
    }
    coir::run([&] {
        resolver from;
        for (const std::string& name : all) {
            EXPECT_EQ(by_coir(from, name, net::address_family::any), by_getaddrinfo(name, net::address_family::any))
                << name;
            if (const list v4 = by_getaddrinfo(name, net::address_family::v4); !v4.empty()) {
                EXPECT_EQ(by_coir(from, name, net::address_family::v4), v4) << name;
            }
        }
    });
}

void write_to(const char* path, const std::string& text) {
    std::ofstream{path} << text;
}

// Makes this process one with a loopback of its own, on which every port is free, and with files of its own in /etc. False where
// that is not allowed.
bool leave_this_machine(const std::map<std::string, std::string>& files) {
    const std::string user = std::to_string(::getuid());
    const std::string group = std::to_string(::getgid());
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) == -1)
        return false;
    write_to("/proc/self/setgroups", "deny");
    write_to("/proc/self/uid_map", "0 " + user + " 1");
    write_to("/proc/self/gid_map", "0 " + group + " 1");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == -1)
        return false;
    for (const auto& [path, text] : files) {
        const scratch_file other{text}; // its name goes, and the mount stays
        if (::mount(other.path().c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == -1)
            return false;
    }
    return switch_loopback_on();
}

packets answer_of_zones(const dns::query& asked) {
    static const std::map<std::string, list> addresses{
        {"x.a.test", {"10.0.0.1"}},
        {"x.b.test", {"10.0.0.2"}},
        {"y.b.test", {"10.0.0.3"}},
        {"x.y.z", {"10.0.0.4"}},
        {"x.y", {"10.0.0.5"}},
        {"two.parts.a.test", {"10.0.0.6"}},
        {"several.a.test",
         {"10.1.0.9", "10.1.0.3", "10.1.0.7", "127.0.0.9", "192.168.3.3", "2001:db8::1", "fd00::3", "::1"}},
        {"top", {"10.9.9.9"}},
        {"six.a.test", {"fd00::6"}},
        {"v4_first.a.test", {"fd00::7"}},
        {"v4_first.b.test", {"10.0.0.8"}},
        {"empty.a.test", {}},
        {"behind_empty.a.test", {}},
        {"behind_empty.b.test", {"10.0.0.14"}},
        {"behind_failing.b.test", {"10.0.0.13", "fd00::13"}},
        {"failing.dots.b.test", {"10.0.0.17"}},
        {"target", {"10.0.0.18"}},
    };
    static const std::map<std::string, std::string> aliases{{"alias.a.test", "x.y.z"}, {"to_top.b.test", "target"}};
    static const std::set<std::string> failing{
        "behind_failing.a.test", "failing.a.test",      "failing.b.test",        "failing",
        "failing.dots",          "failing.dots.a.test", "nowhere_failing.a.test"};
    if (failing.contains(asked.name))
        return {dns::response{asked, dns::server_failure}};
    const auto alias = aliases.find(asked.name);
    const auto found = addresses.find(alias == aliases.end() ? asked.name : alias->second);
    if (found == addresses.end())
        return {dns::response{asked, dns::name_error}};
    dns::response made{asked};
    if (alias != aliases.end())
        made.alias(asked.name, alias->second);
    for (const std::string& each : found->second)
        if (asked.kind == (each.find(':') == std::string::npos ? dns::a : dns::aaaa))
            made.address(each, 60, found->first);
    return {made};
}

// The number of differences; or that this machine does not allow it.
constexpr int not_allowed = 77;

int differences(const std::string& dots) {
    if (!leave_this_machine({{"/etc/resolv.conf", "nameserver 127.0.0.1\nsearch a.test b.test\noptions " + dots + '\n'},
                             {"/etc/nsswitch.conf", "hosts: files dns\n"},
                             {"/etc/hosts", "127.0.0.1 localhost\n10.2.2.2 listed\n"}}))
        return not_allowed;
    const dns::server server{answer_of_zones, {"127.0.0.1", 53}};
    int count = 0;
    coir::run([&] {
        resolver from; // the thread's own may have read this machine's files
        for (const char* name : {"x",
                                 "y",
                                 "x.",
                                 "x.y",
                                 "x.y.",
                                 "x.y.z",
                                 "two.parts",
                                 "several",
                                 "top",
                                 "top.",
                                 "six",
                                 "v4_first",
                                 "empty",
                                 "behind_empty",
                                 "behind_failing",
                                 "failing",
                                 "failing.dots",
                                 "failing.dots.",
                                 "nowhere_failing",
                                 "alias",
                                 "to_top",
                                 "nowhere",
                                 "nowhere.at.all",
                                 "listed",
                                 "x.a.test",
                                 "several.a.test."})
            for (const net::address_family family : families) {
                const list expected = by_getaddrinfo(name, family);
                const list found = by_coir(from, name, family);
                if (found == expected)
                    continue;
                ++count;
                std::cout << name << ", family " << static_cast<int>(family) << ", options " << dots << ": "
                          << testing::PrintToString(found) << " instead of " << testing::PrintToString(expected)
                          << std::endl; // the process ends without more
            }
    });
    return count;
}

TEST_F(names, as_getaddrinfo_from_servers) {
    for (const char* dots : {"ndots:1", "ndots:2"}) {
        const int found = in_child([dots] { return differences(dots); });
        if (found == not_allowed)
            GTEST_SKIP() << "no namespaces for this user";
        EXPECT_EQ(found, 0);
    }
}

} // namespace
} // namespace coir::test
