// How a request is to be handled: id, priority, timeout, progress, worker. These may stand at the top level,
// around a body and in its metadata; the innermost counts. Pure functions.
#pragma once

#include <span>

#include "protocol/message.h"
#include "protocol/normalise.h"

namespace sdxl {

// The id to answer under, as far as the line allows: works on broken and unchecked ones, too. With `inside`,
// an id may also stand in the objects that the line holds.
void find_id(const SentObject& top, bool inside, ReplyTo& reply);

// `innermost_first` were normalised with the delivery schema, among others.
void read_delivery(std::span<const Canonical* const> innermost_first, Message& message);

}  // namespace sdxl
