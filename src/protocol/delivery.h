// How a request is to be handled: id, priority, timeout, progress, worker. These may stand at the top level,
// around a body and in its metadata; the innermost counts. Pure functions.
#pragma once

#include <span>

#include "protocol/message.h"
#include "protocol/normalise.h"

namespace sdxl {

enum class IdPlaces {
    kAnywhere,  // at the top level or in the objects that hold the request
    kOfCancel,  // at the top level only, since inside stands the id of the request to end; of two, session_id
};
// The id to answer under, as far as the line allows: works on broken and unchecked ones, too.
void find_id(const SentObject& top, IdPlaces places, ReplyTo& reply);

// `innermost_first` were normalised with the delivery schema, among others.
void read_delivery(std::span<const Canonical* const> innermost_first, Message& message);

}  // namespace sdxl
