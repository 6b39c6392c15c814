"""The process that owns a device: it schedules, makes and encodes the blocks of all its sessions."""
