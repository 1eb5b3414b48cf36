/* How a revocation list is signed piece by piece (signer_wire.h), and the child's side of it.
 *
 *   crl        u8 step, and then
 *     begin    8 bytes id of the authority, u64 this update, u64 next update, u64 number, u32 number of
 *              entries, u32 their length in the list
 *     entries  u64 number (of the list), u16 how many, each: 16 bytes serial, u64 revoked, u8 reason
 *     end      u64 number
 *   crl reply  u8 status, u16+signature of the end when OK (empty of the others), u16+text otherwise
 *
 * Internal to server/credential. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_CRL_WIRE_H
#define GATEHOUSE_CREDENTIAL_SIGNER_CRL_WIRE_H

#include "server/credential/signer_child.h"

enum crl_step { CRL_BEGIN = 1, CRL_ENTRIES = 2, CRL_END = 3 };
enum { CRL_PIECE = 2048 }; /* entries in one frame: some 2 ms of the child's time */

signer_answer signer_crl_answer;

#endif
