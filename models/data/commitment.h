// A commitment to a silo's rows that can be published: binding, and hiding as long as the secret is
// kept. The number of rows is public, everything else is not.
//
// leaf i = H("fedmesh/data/leaf/v1", salt_i ‖ label ‖ inputs), salt_i = H("fedmesh/data/salt/v1",
// secret ‖ job ‖ i); leaves are padded to a power of two by H("fedmesh/data/padding/v1", salt_i),
// so that paths have one length; node = H("fedmesh/data/node/v1", left ‖ right); the root also
// covers rows, shape and classes. H is BLAKE2b-256 with its label in front; numbers are
// little-endian.
#pragma once

#include "base/crypto/keys.h"
#include "base/ids.h"
#include "models/data/dataset.h"

namespace fedmesh::models {

// Order of rows matters. Salts differ by job, so that roots of equal data cannot be linked.
Digest data_root(const Dataset& data, const JobId& job, const crypto::Secret<32>& secret);

}  // namespace fedmesh::models
