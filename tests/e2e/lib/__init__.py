# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: a scripted origin, the gateway as a process, a strict client."""
