#pragma once

/// \file
/// All of coir.
#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/context.hpp>
#include <coir/context_var.hpp>
#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/elements_of.hpp>
#include <coir/endpoint.hpp>
#include <coir/exception_group.hpp>
#include <coir/fiber.hpp>
#include <coir/fiber_local.hpp>
#include <coir/generator.hpp>
#include <coir/io.hpp>
#include <coir/offload.hpp>
#include <coir/overflow_report.hpp>
#include <coir/run.hpp>
#include <coir/spawn_site.hpp>
#include <coir/stack_report.hpp>
#include <coir/stack_size.hpp>
#include <coir/task_group.hpp>
#include <coir/tcp_listener.hpp>
#include <coir/tcp_stream.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>
