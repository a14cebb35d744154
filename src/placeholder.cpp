namespace chaise {}
