#include "child_process.hpp"
#include "net/address_order.hpp"
#include "net/answer_cache.hpp"
#include "net/dns_server.hpp"
#include "net/hosts_file.hpp"
#include "net/resolver_state.hpp"
#include "net/service_ports.hpp"
#include "refused_guards.hpp"
#include "scratch_file.hpp"
#include "stack/guard.hpp"

#include <coir/coir.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <sstream>
#include <sys/stat.h>

namespace coir::detail {
namespace {

using namespace std::chrono_literals;
using kind = question::kind;
using net::endpoint;
using packets = std::vector<test::dns::packet>;

constexpr loop_time seconds = 1'000'000'000;

TEST(answer_cache, keeps_answers_for_their_time) {
    answer_cache cache{10};
    const auto found = std::make_shared<const answer>();
    cache.put({kind::addresses, "a"}, found, 100);
    EXPECT_EQ(cache.find({kind::addresses, "a"}, 99), found);
    EXPECT_EQ(cache.find({kind::v4_addresses, "a"}, 99), nullptr);
    EXPECT_EQ(cache.find({kind::addresses, "b"}, 99), nullptr);
    EXPECT_EQ(cache.find({kind::addresses, "a"}, 100), nullptr);
    EXPECT_EQ(cache.size(), 0U);
    cache.put({kind::addresses, "a"}, found, 100);
    cache.put({kind::addresses, "a"}, found, 200);
    EXPECT_EQ(cache.size(), 1U);
    EXPECT_EQ(cache.find({kind::addresses, "a"}, 150), found);
    cache.clear();
    EXPECT_EQ(cache.find({kind::addresses, "a"}, 150), nullptr);
}

TEST(answer_cache, is_bounded) {
    answer_cache cache{3};
    const auto found = std::make_shared<const answer>();
    for (const char* name : {"a", "b", "c"})
        cache.put({kind::addresses, name}, found, 100);
    EXPECT_EQ(cache.find({kind::addresses, "a"}, 0), found); // used last
    cache.put({kind::addresses, "d"}, found, 100);
    EXPECT_EQ(cache.size(), 3U);
    EXPECT_EQ(cache.find({kind::addresses, "b"}, 0), nullptr);
    for (const char* name : {"a", "c", "d"})
        EXPECT_EQ(cache.find({kind::addresses, name}, 0), found) << name;
    answer_cache none{0};
    none.put({kind::addresses, "a"}, found, 100);
    EXPECT_EQ(none.size(), 0U);
}

TEST(hosts_file, lines) {
    std::istringstream text{"10.0.0.1\tone ONE.test\t# 10.0.0.9\n"
                            "::1 one\r\n"
                            "  10.0.0.2 two\n"
                            "#10.0.0.3 three\n"
                            "10.0.0.300 four\n"
                            "10.0.0.1 one\n"
                            "fe80::1%lo five\n"
                            "10.0.0.6"};
    const hosts_file hosts{text};
    EXPECT_EQ(hosts.find("one", kind::addresses), (std::vector{endpoint{"10.0.0.1", 0}, endpoint{"::1", 0}}));
    EXPECT_EQ(hosts.find("one", kind::v6_addresses), (std::vector{endpoint{"::1", 0}}));
    EXPECT_EQ(hosts.find("one.test", kind::v4_addresses), (std::vector{endpoint{"10.0.0.1", 0}}));
    EXPECT_EQ(hosts.find("two", kind::v4_addresses), (std::vector{endpoint{"10.0.0.2", 0}}));
    for (const char* name : {"three", "four", "", "10.0.0.9"})
        EXPECT_TRUE(hosts.find(name, kind::addresses).empty()) << name;
    EXPECT_EQ(hosts.find("five", kind::addresses).size(), 1U);
    EXPECT_EQ(hosts.find_name(endpoint{"10.0.0.1", 99}), "one");
    EXPECT_EQ(hosts.find_name(endpoint{"10.0.0.6", 0}), "");
}

std::vector<std::string> in_order(std::vector<std::string> texts) {
    std::vector<endpoint> all;
    for (const std::string& each : texts)
        all.emplace_back(each, std::uint16_t{0});
    put_in_order(all);
    for (std::size_t i = 0; i < all.size(); ++i)
        texts[i] = all[i].address();
    return texts;
}
using list = std::vector<std::string>;

// As far as it does not depend on the machine.
TEST(address_order, loopback) {
    EXPECT_EQ(in_order({"127.0.0.1"}), list{"127.0.0.1"});
    EXPECT_EQ(in_order({"127.0.0.2", "127.0.0.1"}), (list{"127.0.0.2", "127.0.0.1"})); // as they came
    EXPECT_EQ(in_order({"255.255.255.255", "127.0.0.1"}), (list{"127.0.0.1", "255.255.255.255"}));
    const list both = in_order({"127.0.0.1", "::1"});
    const int probe = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const endpoint loopback{"::1", 9};
    const bool has_v6 = probe >= 0 && ::connect(probe, static_cast<const sockaddr*>(loopback.native()),
                                                static_cast<socklen_t>(loopback.native_size())) == 0;
    ::close(probe);
    EXPECT_EQ(both, has_v6 ? (list{"::1", "127.0.0.1"}) : (list{"127.0.0.1", "::1"}));
}

net::resolver_options only(const test::dns::server& server) {
    net::resolver_options made;
    made.servers = {server.where()};
    made.search.emplace();
    made.configuration = made.hosts_file = "/nonexistent";
    return made;
}

TEST(resolver_cache, time_to_live) {
    const test::dns::server server{[](const test::dns::query& asked) -> packets {
        test::dns::response made{asked, asked.name == "absent.test" ? test::dns::name_error : test::dns::no_error};
        if (asked.name == "failing.test")
            return {test::dns::response{asked, test::dns::server_failure}};
        if (asked.name == "alias.test")
            made.alias(asked.name, "other.test", 7);
        if (asked.name != "absent.test" && asked.kind == test::dns::a)
            made.address("10.0.0.1", asked.name == "zero.test" ? 0 : 60,
                         asked.name == "alias.test" ? "other.test" : "");
        return {made};
    }};
    coir::run([&] {
        net::resolver_options options = only(server);
        options.longest_ttl = 30s;
        options.tries = 1;
        net::resolver from{options};
        resolver_state& state = resolver_access::state(from);
        const auto asked_after = [&](const std::string& name, loop_time skipped) {
            const std::size_t before = server.asked(name);
            state.skipped_time += skipped;
            std::error_code error;
            static_cast<void>(from.resolve(name, 1, error));
            return server.asked(name) - before;
        };
        EXPECT_EQ(asked_after("long.test", 0), 2U);
        EXPECT_EQ(asked_after("long.test", 29 * seconds), 0U);
        EXPECT_EQ(asked_after("long.test", 1 * seconds), 2U); // longest_ttl
        EXPECT_EQ(asked_after("alias.test", 0), 2U);
        EXPECT_EQ(asked_after("alias.test", 6 * seconds), 0U);
        EXPECT_EQ(asked_after("alias.test", 1 * seconds), 2U); // the alias holds for 7 s
        EXPECT_EQ(asked_after("zero.test", 0), 2U);
        EXPECT_EQ(asked_after("zero.test", 0), 2U);
        EXPECT_EQ(asked_after("absent.test", 0), 2U);
        EXPECT_EQ(asked_after("absent.test", 4 * seconds), 0U);
        EXPECT_EQ(asked_after("absent.test", 1 * seconds), 2U); // negative_ttl
        EXPECT_GT(asked_after("failing.test", 0), 0U);
        EXPECT_GT(asked_after("failing.test", 0), 0U); // is not remembered
        EXPECT_EQ(asked_after("absent.test", 0), 0U);
        from.flush();
        EXPECT_EQ(asked_after("absent.test", 0), 2U);
    });
}

std::atomic<int> services_read{0};

std::uint16_t read_service(const char* name) noexcept {
    ++services_read;
    return std::string_view{name} == "known" ? 7 : 0;
}

TEST(service_ports, the_file_is_read_when_it_has_changed) {
    services_read = 0;
    const test::scratch_file file{"known 7/tcp\n"};
    service_ports ports{file.path().c_str(), read_service};
    EXPECT_EQ(ports.find("known", 0), 7);
    for (const loop_time now : {1L, 1 * seconds, 5 * seconds})
        EXPECT_EQ(ports.find("known", now), 7);
    EXPECT_EQ(services_read, 1);
    file.write("known 7/tcp\nother 8/tcp\n");
    EXPECT_EQ(ports.find("known", 6 * seconds - 1), 7); // it was looked at a moment ago
    EXPECT_EQ(services_read, 1);
    EXPECT_EQ(ports.find("known", 6 * seconds), 7);
    EXPECT_EQ(services_read, 2);
}

// It may be that the file could not be read.
TEST(service_ports, names_that_are_not_found_are_not_remembered) {
    services_read = 0;
    service_ports ports{"/etc/services", read_service};
    EXPECT_EQ(ports.find("unknown", 0), 0);
    EXPECT_EQ(ports.find("unknown", 0), 0);
    EXPECT_EQ(services_read, 2);
}

// Within a second, and of the same size; or another file, as old as the first.
TEST(file_stamp, small_changes_are_seen) {
    file_stamp stamp;
    const test::scratch_file file{"a"};
    const auto date = [](const std::string& path, long nanoseconds) {
        const std::array<timespec, 2> both{timespec{1, nanoseconds}, timespec{1, nanoseconds}};
        EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), both.data(), 0), 0);
    };
    date(file.path(), 1);
    EXPECT_TRUE(stamp.has_changed(file.path().c_str()));
    EXPECT_FALSE(stamp.has_changed(file.path().c_str()));
    date(file.path(), 2);
    EXPECT_TRUE(stamp.has_changed(file.path().c_str()));
    const test::scratch_file other{"b"};
    date(other.path(), 2);
    ASSERT_EQ(::rename(other.path().c_str(), file.path().c_str()), 0);
    EXPECT_TRUE(stamp.has_changed(file.path().c_str()));
}

TEST(resolver_files, changes_are_seen) {
    const test::dns::server server{[](const test::dns::query& asked) -> packets {
        test::dns::response made{asked};
        return {asked.kind == test::dns::a ? made.address("10.0.0.1") : made};
    }};
    const test::scratch_file hosts;
    const test::scratch_file configuration;
    hosts.write("10.0.0.2 host.test\n");
    configuration.write("options ndots:1\n");
    coir::run([&] {
        net::resolver_options options = only(server);
        options.hosts_file = hosts.path();
        options.configuration = configuration.path();
        options.search.reset();
        net::resolver from{options};
        resolver_state& state = resolver_access::state(from);
        const auto first = [&](const char* name) { return from.resolve(name, 1).front().address(); };
        EXPECT_EQ(first("host.test"), "10.0.0.2");
        hosts.write("10.0.0.33 host.test\n");
        EXPECT_EQ(first("host.test"), "10.0.0.2"); // it was looked at a moment ago
        state.skipped_time += seconds;
        EXPECT_EQ(first("host.test"), "10.0.0.33");
        hosts.write("\n");
        state.skipped_time += seconds;
        EXPECT_EQ(first("host.test"), "10.0.0.1");

        EXPECT_EQ(first("name.test."), "10.0.0.1");
        EXPECT_EQ(server.asked("short.domain.test"), 0U);
        configuration.write("search domain.test\n");
        state.skipped_time += seconds;
        EXPECT_EQ(first("short"), "10.0.0.1");
        EXPECT_EQ(server.asked("short.domain.test"), 2U);
        EXPECT_EQ(server.asked("name.test"), 2U);
        EXPECT_EQ(first("name.test."), "10.0.0.1"); // what other servers have said does not count
        EXPECT_EQ(server.asked("name.test"), 4U);
    });
}

// A change while questions are open: they are answered where they are.
TEST(resolver_files, change_while_asking) {
    test::dns::server server{[](const test::dns::query& asked) -> packets {
        test::dns::response made{asked};
        return {asked.kind == test::dns::a ? made.address("10.0.0.1") : made};
    }};
    server.hold();
    const test::scratch_file configuration;
    coir::run([&] {
        net::resolver_options options = only(server);
        options.configuration = configuration.path();
        net::resolver from{options};
        resolver_state& state = resolver_access::state(from);
        fiber<std::size_t> early = spawn([&] { return from.resolve("early.test", 1).size(); });
        this_fiber::yield();
        configuration.write("options ndots:2\n");
        state.skipped_time += seconds;
        fiber<std::size_t> late = spawn([&] { return from.resolve("late.test", 1).size(); });
        this_fiber::yield();
        EXPECT_EQ(state.channel_count(), 2U);
        server.release();
        EXPECT_EQ(early.join(), 1U);
        EXPECT_EQ(late.join(), 1U);
        while (state.channel_count() > 1)
            this_fiber::yield();
    });
}

TEST(resolver_channels, go_when_they_are_not_needed) {
    test::dns::server server{[](const test::dns::query& asked) -> packets {
        test::dns::response made{asked};
        return {asked.kind == test::dns::a ? made.address("10.0.0.1") : made};
    }};
    server.hold();
    coir::run([&] {
        net::resolver from{only(server)};
        resolver_state& state = resolver_access::state(from);
        std::vector<fiber<std::size_t>> all;
        for (int i = 0; i < 500; ++i)
            all.push_back(spawn([&, i] { return from.resolve('n' + std::to_string(i), 1).size(); }));
        this_fiber::yield();
        EXPECT_EQ(state.channel_count(), 3U);
        server.release();
        for (auto& each : all)
            EXPECT_EQ(each.join(), 1U);
        while (state.channel_count() > 1)
            this_fiber::yield();
    });
}

// While there is always a question open, c-ares keeps its socket.
TEST(resolver_channels, leave_their_port_in_time) {
    std::atomic<std::uint16_t> last_port{0}; // the server's thread writes
    const test::dns::server server{[&](const test::dns::query& asked) -> packets {
        last_port = asked.from;
        return asked.name.starts_with("slow") ? packets{} : packets{test::dns::response{asked}.address("10.0.0.1")};
    }};
    coir::run([&] {
        net::resolver_options options = only(server);
        options.timeout = 30s;
        net::resolver from{options};
        resolver_state& state = resolver_access::state(from);
        const net::resolve_options v4{net::address_family::v4};
        const auto port_for = [&](const std::string& name) {
            EXPECT_EQ(from.resolve(name, 1, v4).size(), 1U) << name;
            return last_port.load();
        };
        std::vector<fiber<void>> all;
        const auto keep_open = [&](const std::string& name) {
            all.push_back(spawn([&, name] {
                std::error_code error;
                static_cast<void>(from.resolve(name, 1, error, v4));
            }));
            this_fiber::yield();
        };
        keep_open("slow1");
        const std::uint16_t first = port_for("n1");
        for (std::size_t i = 2; i < query_channel::questions_of_a_port; ++i)
            ASSERT_EQ(port_for('n' + std::to_string(i)), first) << i;
        EXPECT_EQ(state.channel_count(), 1U);
        keep_open("slow2");
        const std::uint16_t second = port_for("second");
        EXPECT_NE(second, first);

        state.skipped_time += 59 * seconds;
        EXPECT_EQ(port_for("soon"), second);
        state.skipped_time += 1 * seconds;
        keep_open("slow3");
        const std::uint16_t third = port_for("later");
        EXPECT_NE(third, first);
        EXPECT_NE(third, second);

        // Those that are not used any more stay for their questions, and no longer.
        EXPECT_EQ(state.channel_count(), 3U);
        all[0].cancel();
        all[1].cancel();
        this_fiber::yield();
        EXPECT_EQ(state.channel_count(), 1U);
        EXPECT_EQ(port_for("again"), third);
    });
}

// Where guards are installed when a fiber begins, that may fail: then the fiber never runs, and who waits is told. Otherwise this
// would be a deadlock.
TEST(resolver_channels, end_when_nobody_can_drive_them) {
    const auto end = in_child([] {
        if (available_guard() == guard_kind::protection)
            return true;
        return coir::run([] {
            net::resolver_options options;
            options.servers = {endpoint{"127.0.0.1", 1}};
            options.search.emplace();
            options.configuration = options.hosts_file = "/nonexistent";
            net::resolver from{options};
            refuse_guards();
            std::error_code error;
            bool is_told = true;
            for (int i = 0; i < 2; ++i) {
                static_cast<void>(from.resolve("n1.test", 1, error));
                is_told = is_told && error == std::errc::not_enough_memory && from.open_queries() == 0;
            }
            return is_told;
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

TEST(connection_race, ends_when_nobody_can_connect) {
    const auto end = in_child([] {
        if (available_guard() == guard_kind::protection)
            return true;
        return coir::run([] {
            net::resolver from;
            refuse_guards();
            std::error_code error;
            static_cast<void>(net::connect("n1.test", 1, error, {.names = &from}));
            const bool is_told = error == std::errc::not_enough_memory;
            static_cast<void>(net::connect(std::vector<endpoint>{{"127.0.0.1", 1}, {"127.0.0.1", 2}}, error));
            return is_told && error == std::errc::not_enough_memory && from.open_queries() == 0;
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

} // namespace
} // namespace coir::detail
